"""Generalised cross-entropy, L_q(p_y) = (1 - p_y^q)/q, plain and truncated.

The truncated form drops samples that the best snapshot so far contradicts; the snapshot is chosen by
accuracy on the noisy training labels' held-out part where there is one, else by the training loss.
"""
