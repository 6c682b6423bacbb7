-- From here on operations may be of the kinds `sleep` and `wake`, which no earlier berthd can read:
-- its refusal of a newer schema is what it is told by. No table changes.
SELECT 1;
