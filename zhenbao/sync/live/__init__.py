"""A running ECG trace for a specialist's page: best effort, never kept, never judged, after everything else."""
