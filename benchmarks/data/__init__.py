"""The contenders of ``bitnet bench data``, and the harness that treats all of them alike."""
