"""LifeScan OneTouch Ultra2 on a serial cable."""
