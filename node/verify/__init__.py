"""Whether a model folder is what a round says it is, in five levels from cheap to complete.

`report` what was found, as text's and JSON's source · `wording` as text · `integrity` bytes against the root ·
`strangers` what lies beside the model · `signature` the OpenSSF bundle · `authority` who decided · `odds` what an
audit of some tensors is worth · `materials` what a re-merge needs · `scanning` for values that nobody may take ·
`remerge` doing it again · `audit` comparing · `fault_file` proofs for others · `settling` checking such a proof ·
`verifying` all of it in order.

Integrity and authority need no network, no torch and no daemon. Nothing here imports torch: a re-merge is done by an
``Engine``, in a child process.
"""
