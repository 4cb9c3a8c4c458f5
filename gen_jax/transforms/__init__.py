"""Functions from family to family. Order, inner to outer: accumulated, seeds, devices; one that can't go outside another raises InputError.

What wraps a `loss`, an `update` or a `step` may go anywhere. What replaces a `gradient` goes around `core.mean_gradient` and refuses any other;
what makes a loss mix examples, or wraps `init` or `sample`, refuses a family with seeds or a mesh. tests/test_transforms.py has one of each kind.
"""
