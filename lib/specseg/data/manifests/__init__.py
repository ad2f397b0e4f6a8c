"""Manifests of data sets (data_manifests/*.toml): what each set is, and whether the copy on this disk is the right one.

`load` reads one, `verify` checks the files against it, `fetch` downloads what may be downloaded.
"""

# ruff: noqa: F401 (names that others take from here)

from specseg.data.manifests.fetch import FetchError, RegistrationNeeded, fetch
from specseg.data.manifests.schema import Check, File, Labels, Manifest, ManifestError, Split, folder, load, names, read
from specseg.data.manifests.verify import Have, Problem, Report, list_hash, verify
