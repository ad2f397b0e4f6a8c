"""The adviser: which band limit, grid and block size suit a data set, from its label maps and, if given, logits."""
