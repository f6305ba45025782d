"""The key of the kit's store: sealed by a PIN (and the TPM where there is one), held in memory while unlocked."""
