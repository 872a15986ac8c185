"""Small dense problems on the n x n Gramian of n tasks, a file per kind of problem.

Called by balancers. Everything is float64 and made for n in the hundreds: no solver that leaves the device,
no loop over pairs of tasks. All work is done on unit gradients (`unit_gram`), where the matrix of cosines is
nearly diagonal in practice, so that conjugate gradients need a dozen products with it; a Cholesky factor is
the way out when they do not.
"""
