// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

/// @title PayOnce: pay many recipients in one transaction, each (payer, reference) once.
/// @notice No owner, no upgrade, no pause, no custody. Anyone may use it; it moves the caller's own tokens alone.
/// docs/payonce.md has the claims, the threats, and the test for each.
contract PayOnce {
    struct Payment {
        bytes32 ref;
        address to;
        uint256 amount;
    }

    /// @notice The token has reported that `amount` of the payer's tokens moved to `to`.
    event Paid(address indexed payer, bytes32 indexed ref, address indexed to, address token, uint256 amount);
    /// @notice The token refused. Nothing moved, and the reference may be paid later.
    event Failed(address indexed payer, bytes32 indexed ref);
    /// @notice The reference was paid before, in block `blockNumber`. Nothing moved now.
    event AlreadyPaid(address indexed payer, bytes32 indexed ref, uint256 blockNumber);

    error NoToken();
    error NotEnoughGas();
    error Refused();

    /// @dev What one payment may spend, its storage slot included. Always the same amount, so whether a payment fails does not depend
    /// on the transaction's gas limit.
    uint256 private constant PAYMENT_GAS = 150_000;
    /// @dev A call passes on at most 63/64 of what is left (EIP-150), so this much must be left before it: PAYMENT_GAS * 64 / 63, and
    /// what the call itself costs.
    uint256 private constant REQUIRED_GAS = PAYMENT_GAS + PAYMENT_GAS / 63 + 5_000;

    /// @notice The block in which a payer's reference was paid; 0: never.
    mapping(address payer => mapping(bytes32 ref => uint256 blockNumber)) public paid;

    /// @notice Pay with the caller's tokens, which it has approved to this contract. Each payment ends in exactly one event.
    function pay(address token, Payment[] calldata payments) external {
        if (token.code.length == 0) revert NoToken(); // a call to it would succeed and move nothing
        for (uint256 i = 0; i < payments.length; ++i) {
            bytes32 ref = payments[i].ref;
            uint256 blockNumber = paid[msg.sender][ref];
            if (blockNumber != 0) {
                emit AlreadyPaid(msg.sender, ref, blockNumber);
                continue;
            }
            if (gasleft() < REQUIRED_GAS) revert NotEnoughGas();
            // A frame of its own: where the payment fails, the EVM takes back its mark, its event and whatever the token did.
            try this.payOne{gas: PAYMENT_GAS}(msg.sender, token, payments[i]) {}
            catch {
                emit Failed(msg.sender, ref);
            }
        }
    }

    /// @dev One payment of `pay`, which is the only caller. Marked before the token is called: one that calls back finds it marked.
    function payOne(address payer, address token, Payment calldata payment) external {
        if (msg.sender != address(this)) revert Refused();
        paid[payer][payment.ref] = block.number;
        emit Paid(payer, payment.ref, payment.to, token, payment.amount);
        bytes memory data = abi.encodeWithSelector(0x23b872dd, payer, payment.to, payment.amount); // transferFrom
        bool moved;
        // By hand, so that at most one word of what the token returns is copied: nothing, or exactly `true`, is success.
        assembly ("memory-safe") {
            moved := call(gas(), token, 0, add(data, 0x20), mload(data), 0, 0x20)
            moved := and(moved, or(iszero(returndatasize()), and(gt(returndatasize(), 0x1f), eq(mload(0), 1))))
        }
        if (!moved) revert Refused();
    }
}
