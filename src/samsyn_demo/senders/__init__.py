"""The systems of the region that send: RIS and EHR over MLLP, modalities and PACS over DIMSE or STOW-RS.

`messages` writes the texts and `plan` says in which order a provider's systems send them; `mllp`, `dimse` and
`stow` carry; `outcome` is what they share about success, failure and patience; `provider` is one provider's
process.
"""
