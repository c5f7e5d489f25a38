"""Why an update was refused, or how it failed: `Status.code` and the event `update` (SPEC 15.6).

Every refusal of a document leaves a node as it was. A number is never reused. Texts for people are in
`refusal_texts.py`, which stays on the host.
"""

U_NONE = 0

# The release
U_MALFORMED = 1  # bytes that are no document of this contract
U_UNSIGNED = 2  # no signature at all
U_UNKNOWN_KEY = 3  # none of the signatures is by a key of the root
U_BAD_SIGNATURE = 4  # a signature does not hold
U_WRONG_ROLE = 5  # signed by keys of the root, but by none of a role that may
U_TOO_FEW = 6  # fewer signatures than the threshold of a role
U_ROLE_MISSING = 7  # a role that the product requires, such as bench, has not signed
U_NO_REPORT = 8  # the signature of that role does not name the report
U_EXPIRED = 9
U_ROLLBACK = 10  # its sequence is below the security floor
U_PRODUCT = 11
U_BOARD = 12
U_CHIP = 13
U_ABI = 14  # of .mpy files
U_BASE_OLD = 15  # MicroPython is older than the release needs
U_MIXED = 16  # a manifest that is not the one of the release
U_PATH = 17  # a path leaves the slot
U_OVERSIZE = 18  # more data than was signed
U_FILE = 19  # a file is not what the manifest says
U_PAYLOAD = 20  # the payload does not decode, or is not what the manager announced
U_OTHER_RELEASE = 21  # not the release that the campaign names

# The campaign
U_CAMPAIGN_FORGED = 30  # not signed by a key of the role campaign
U_CAMPAIGN_STALE = 31  # expired
U_CAMPAIGN_REPLAYED = 32  # its counter is not above the last one
U_NOT_ADDRESSED = 33  # another node is meant
U_HALTED = 34  # an epoch has halted its group
U_EPOCH_FORGED = 35  # an epoch that is not signed by a key of the role campaign

# The root
U_NO_ROOT = 40  # provisioned without one
U_ROOT_OLD = 41  # the threshold of the old root is not met
U_ROOT_NEW = 42  # the threshold of the new root is not met
U_ROOT_VERSION = 43  # not the next one
U_ROOT_EXPIRED = 44

# The node
U_SPACE = 50  # the file system has no room
U_STORAGE = 51  # the flash refuses
U_QUARANTINED = 52  # failed on this node before
U_TIME = 53  # the time is unknown
U_NO_SLOT = 54  # the other slot does not hold that program
U_NO_PARTITION = 55  # the board has one application partition only
U_IMAGE = 56  # the base image is not what was signed
U_UNAVAILABLE = 57  # the manager does not have it
U_LOOP = 58  # begun too often without an end
U_STOPPED = 59  # by a campaign
U_MEMORY = 60
U_INTERNAL = 61
U_WINDOW = 62  # it waits for its window

# The trial: why the program before runs again
U_CRASHED = 70  # an exception ended it
U_HUNG = 71  # the watchdog ended it
U_RESTARTED = 72  # it restarts without a word
U_UNCONFIRMED = 73  # it ran, and did not prove itself in time
U_UNREACHED = 74  # it never had a session with the broker, so it may be innocent
U_POWER = 75  # power cuts used up the tries, so it may be innocent
U_BASE_REVERTED = 76  # the bootloader went back to the base image before
