"""Random augmentation of whole batches on the device: geometry, pixel operations, policies, views.

Not for reading or resizing files (the readers do that), and not for mixing samples (see learning).
"""
