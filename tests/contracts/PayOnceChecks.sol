// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

import {PayOnce} from "./PayOnce.sol";

/// Symbolic checks of PayOnce, run by halmos (`make contract-audit`): every argument of a `check_` function, and all of the storage that it
/// reads, is any value at once.

interface Cheats {
    function assume(bool condition) external;
    function prank(address sender) external;
    function deal(address account, uint256 wei_) external;
}

/// Records what PayOnce calls, and answers as the check decides. A token can do more, but not to PayOnce: its only entrances are checked below.
contract RecordingToken {
    uint256 public calls;
    bool public strange;
    address public from;
    address public to;
    uint256 public amount;
    uint256 public mode;

    constructor(uint256 mode_) {
        mode = mode_;
    }

    function transferFrom(address from_, address to_, uint256 amount_) external returns (bool) {
        calls += 1;
        (from, to, amount) = (from_, to_, amount_);
        if (mode == 0) return true;
        if (mode == 1) return false;
        if (mode == 2) revert("no");
        assembly {
            return(0, 0)
        }
    }

    fallback() external payable {
        strange = true;
    }
}

contract PayOnceChecks {
    Cheats private constant vm = Cheats(address(uint160(uint256(keccak256("hevm cheat code")))));
    PayOnce private payOnce;

    function setUp() public {
        payOnce = new PayOnce();
    }

    function one(bytes32 ref, address to, uint256 amount) private pure returns (PayOnce.Payment[] memory batch) {
        batch = new PayOnce.Payment[](1);
        batch[0] = PayOnce.Payment(ref, to, amount);
    }

    /// Whatever the token answers: the second payment of a reference never reaches the token if the first one succeeded.
    function check_once_per_payer_and_reference(
        address payer, bytes32 ref, address to, uint256 amount, address to2, uint256 amount2, bool silent
    ) public {
        RecordingToken token = new RecordingToken(silent ? 3 : 0);
        vm.assume(payer != address(0));
        vm.prank(payer);
        payOnce.pay(address(token), one(ref, to, amount));
        assert(token.calls() == 1);
        assert(payOnce.paid(payer, ref) == block.number);
        vm.prank(payer);
        payOnce.pay(address(token), one(ref, to2, amount2));
        assert(token.calls() == 1);
        assert(token.to() == to && token.amount() == amount);
    }

    /// The same within one batch.
    function check_once_within_a_batch(address payer, bytes32 ref, address to, uint256 amount, address to2, uint256 amount2) public {
        RecordingToken token = new RecordingToken(0);
        PayOnce.Payment[] memory batch = new PayOnce.Payment[](2);
        batch[0] = PayOnce.Payment(ref, to, amount);
        batch[1] = PayOnce.Payment(ref, to2, amount2);
        vm.prank(payer);
        payOnce.pay(address(token), batch);
        assert(token.calls() == 1);
        assert(token.to() == to && token.amount() == amount);
    }

    /// A payment that failed leaves no mark, and succeeds later.
    function check_a_failed_reference_can_be_paid_later(address payer, bytes32 ref, address to, uint256 amount, bool reverts) public {
        RecordingToken refusing = new RecordingToken(reverts ? 2 : 1);
        RecordingToken token = new RecordingToken(0);
        vm.prank(payer);
        payOnce.pay(address(refusing), one(ref, to, amount));
        assert(payOnce.paid(payer, ref) == 0);
        assert(refusing.calls() == 0); // taken back
        vm.prank(payer);
        payOnce.pay(address(token), one(ref, to, amount));
        assert(token.calls() == 1 && payOnce.paid(payer, ref) == block.number);
    }

    /// `pay` asks the token for the caller's tokens alone, by transferFrom alone.
    function check_only_the_callers_tokens_move(address payer, bytes32 ref, address to, uint256 amount, uint256 mode) public {
        vm.assume(mode < 4);
        RecordingToken token = new RecordingToken(mode);
        vm.prank(payer);
        payOnce.pay(address(token), one(ref, to, amount));
        assert(!token.strange());
        assert(token.calls() == 0 || (token.from() == payer && token.to() == to && token.amount() == amount));
    }

    /// The inner function refuses every caller but the contract itself.
    function check_no_one_else_enters_the_inner_function(address caller, address payer, bytes32 ref, address to, uint256 amount) public {
        vm.assume(caller != address(payOnce));
        RecordingToken token = new RecordingToken(0);
        vm.prank(caller);
        (bool ok,) = address(payOnce).call(
            abi.encodeCall(PayOnce.payOne, (payer, address(token), PayOnce.Payment(ref, to, amount)))
        );
        assert(!ok && token.calls() == 0 && payOnce.paid(payer, ref) == 0);
    }

    /// No calldata whatsoever of anyone else marks, clears or moves what belongs to `payer`.
    function check_no_calldata_touches_another_payer(address caller, address payer, bytes32 ref, bytes32 ref2, address to, uint256 amount) public {
        vm.assume(caller != payer && caller != address(payOnce));
        RecordingToken token = new RecordingToken(0);
        uint256 before = payOnce.paid(payer, ref);
        vm.prank(caller);
        payOnce.pay(address(token), one(ref2, to, amount));
        assert(payOnce.paid(payer, ref) == before);
        assert(token.from() == caller);
    }

    /// PayOnce accepts no ether by any function, nor without one.
    function check_no_ether_is_accepted(bytes4 selector, bytes32 a, bytes32 b, bytes32 c) public {
        vm.deal(address(this), 2);
        (bool ok,) = address(payOnce).call{value: 1}(abi.encodePacked(selector, a, b, c));
        assert(!ok);
        (ok,) = address(payOnce).call{value: 1}("");
        assert(!ok);
    }
}
