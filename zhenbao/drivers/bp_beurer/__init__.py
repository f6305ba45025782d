"""Blood pressure cuffs with Beurer's serial interface (BM65, and BM58 with the serial cable)."""
