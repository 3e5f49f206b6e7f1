//! fence_oracle
