"""Who runs the jobs: local worker processes, their leases, retries and interruption."""
