_default:
    @just --list
# Everything CI checks, cheapest first
check:
    .ci/run
# All tests, with the peers they need
test:
    tests/run
# A simulated district over real SIP and RTP
demo:
    cargo run --release -- demo
# Accept changed snapshots
snap:
    INSTA_UPDATE=always cargo test
