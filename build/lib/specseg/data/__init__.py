"""Manifests of data sets, folders and seeds in; samples (image, label, name) and surveys of label maps out.

Knows no network and no loss.
"""
