// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.28;

/// Tokens that misbehave, for the tests of PayOnce.

struct Payment {
    bytes32 ref;
    address to;
    uint256 amount;
}

interface IPayOnce {
    function pay(address token, Payment[] calldata payments) external;
    function payOne(address payer, address token, Payment calldata payment) external;
    function paid(address payer, bytes32 ref) external view returns (uint256);
}

/// A minimal token without fault. The others change one thing each.
contract GoodToken {
    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;
    mapping(address => bool) public blocked;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function block_(address account) external {
        blocked[account] = true;
    }

    function transferFrom(address from, address to, uint256 amount) external virtual returns (bool) {
        move(from, to, amount);
        return true;
    }

    function move(address from, address to, uint256 amount) internal {
        require(!blocked[to], "blocked");
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// Returns false to a blocked recipient instead of reverting.
contract FalseToken is GoodToken {
    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        if (blocked[to]) return false;
        move(from, to, amount);
        return true;
    }
}

/// Moves the coins, and returns false to a blocked recipient all the same.
contract LyingToken is GoodToken {
    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        return !blocked[to];
    }
}

/// Returns nothing, as the first large tokens did.
contract SilentToken is GoodToken {
    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        move(from, to, amount);
        assembly {
            return(0, 0)
        }
    }
}

/// Returns a word that is neither true nor false, or half a word, to a blocked recipient; the coins have moved.
contract OddToken is GoodToken {
    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        if (!blocked[to]) return true;
        assembly {
            mstore(0, 2)
            switch and(amount, 1)
            case 0 { return(0, 32) }
            default { return(0, 16) }
        }
    }
}

/// Keeps a tenth of each transfer.
contract FeeToken is GoodToken {
    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        move(from, to, amount);
        balanceOf[to] -= amount / 10;
        balanceOf[address(this)] += amount / 10;
        return true;
    }
}

/// Burns all gas that it is given when it pays a blocked recipient.
contract GasBurner is GoodToken {
    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        if (blocked[to]) {
            while (true) {}
        }
        move(from, to, amount);
        return true;
    }
}

/// Needs nearly all the gas that a payment has, to each recipient.
contract HeavyToken is GoodToken {
    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        uint256 start = gasleft();
        move(from, to, amount);
        while (start - gasleft() < 122_300) {}
        return true;
    }
}

/// Returns, or reverts with, as much data as its gas allows when it pays a blocked recipient.
contract ReturnBomb is GoodToken {
    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        if (blocked[to]) {
            assembly {
                revert(0, 180000)
            }
        }
        move(from, to, amount);
        return true;
    }
}

/// Calls PayOnce back while it pays a blocked recipient: the same batch as itself, the inner function, and the payer's reference.
contract Reentrant is GoodToken {
    uint256 public callbacks;

    function transferFrom(address from, address to, uint256 amount) external override returns (bool) {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        if (blocked[to]) {
            callbacks += 1;
            Payment[] memory again = new Payment[](1);
            again[0] = Payment(bytes32(uint256(uint160(to))), to, amount);
            try IPayOnce(msg.sender).payOne(from, address(this), again[0]) {
                balanceOf[to] = type(uint256).max; // an assertion of the tests sees it
            } catch {}
            if (callbacks % 2 == 1) {
                try IPayOnce(msg.sender).pay(address(this), again) {} catch {}
            }
        }
        return true;
    }
}
