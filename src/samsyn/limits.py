"""Every limit, with unit and reason. A limit that is passed is refused with its name (errors.LimitExceeded)."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

MAX_OPEN_FILES: Final = 8_192
"""Open files that the process asks the system for: all connections of all doors, and the files of the store."""

# -- DICOM upper layer and DIMSE ------------------------------------------------------------------------
MAX_PDU_BYTES: Final = 128 * KIB
"""Largest P-DATA-TF PDU that we offer to receive: one read of a socket buffer, few wake-ups per instance."""
MAX_CONTROL_PDU_BYTES: Final = 256 * KIB
"""Largest A-ASSOCIATE PDU: 128 contexts with 40 transfer syntaxes each and user identity fit well."""
MAX_COMMAND_SET_BYTES: Final = 64 * KIB
"""Largest DIMSE command set: a command holds a handful of UIDs and numbers."""
MAX_IDENTIFIER_BYTES: Final = 1 * MIB
"""Largest C-FIND/C-MOVE/C-GET identifier: a list of some ten thousand UIDs."""
MAX_PRESENTATION_CONTEXTS: Final = 128
"""PS3.8 9.3.2.2: odd ids 1 to 255."""
MAX_ASSOCIATIONS: Final = 512
"""Open DICOM connections in all: each may hold MAX_PDU_BYTES and a spooled instance."""
MAX_ASSOCIATIONS_PER_PEER: Final = 64
"""Open DICOM connections of one AE title, so that one PACS cannot lock out the others."""
SPARED_IDLE_S: Final = 1.0
"""A connection that was made, or an association that was used, so lately is not ended to make room for another."""
ASSOCIATE_TIMEOUT_S: Final = 30.0
"""Time for a whole A-ASSOCIATE-RQ to arrive (ARTIM, PS3.8 9.1.5)."""
MESSAGE_TIMEOUT_S: Final = 120.0
"""Time for one whole DIMSE message from its first byte; slow drip costs the connection."""
IDLE_ASSOCIATION_TIMEOUT_S: Final = 600.0
"""An association without traffic is aborted: modalities reopen, leaks do not."""
MAX_OUTSTANDING_OPERATIONS: Final = 16
"""Requests that one association may have unanswered when it asks for a window (PS3.7 D.3.3.3): they share syncs."""
MIN_PEER_PDU_BYTES: Final = 256
"""Smallest maximum length of a peer: below this, headers and wake-ups cost more than the data they carry."""
MAX_ARRIVING_BYTES: Final = 1 * GIB
"""Data sets that are arriving or waiting for the disk on all DICOM associations together."""
CLOSE_TIMEOUT_S: Final = 2.0
"""Time that a peer has to close after the last PDU before we do (ARTIM, PS3.8 9.1.5)."""
MAX_RETRIEVALS: Final = 16
"""C-GET and C-MOVE at work at the same time; more wait. Each holds up to two objects in memory. One receiver has half
of them at the most."""
PENDING_EVERY_S: Final = 0.5
"""C-GET and C-MOVE tell how far they are so often at the most: for a bar on a screen, not for each of 2,000 slices."""
CONNECT_TIMEOUT_S: Final = 10.0
"""Time to reach a C-MOVE destination; association and answers have their own times."""

TLS_HANDSHAKE_S: Final = 10.0
"""Time for a whole TLS handshake on the second DICOM listener."""
MAX_OUTGOING_PER_PEER: Final = 4
"""Associations that we open to one destination at the same time: a small PACS takes no more."""
OUTGOING_KEPT_S: Final = 10.0
"""An association that is not needed any more is kept so long for the next that wants the same."""
MAX_HL7_ANSWER_BYTES: Final = 64 * KIB
"""One acknowledgement of a receiver: MSH, MSA and some ERR are some hundred bytes."""
MAX_OUTGOING_PAUSE_S: Final = 60.0
"""Longest pause before a destination that could not be reached is tried again (doubled from 2 s)."""
MAX_OUTGOING_JOBS: Final = 8
"""Deliveries to other systems at work at the same time."""
OUTGOING_ATTEMPTS: Final = 100
"""Attempts of a delivery before it is given up: about a day, so that a night's outage loses nothing."""
OUTGOING_RETRY_S: Final = 900.0
"""Longest pause between two attempts of one delivery (doubled from 2 s)."""
MAX_COMMITMENTS: Final = 1_000
"""Requests for storage commitment of one system that are not answered: a day of a busy modality that is away."""
MAX_COMMITMENT_BYTES: Final = 64 * MIB
"""What these requests may take up together: some half a million instances."""
MAX_COMMITMENTS_AT_WORK: Final = 2
"""Of these, how many are looked at or delivered at once: each may read a whole study again."""
MAX_PREFETCHED_BOOKINGS: Final = 2_000
"""Bookings of one provider that a look for prefetching takes, the nearest first: a large hospital's two days."""
MAX_PRIORS: Final = 500
"""Studies of one person that prefetching chooses from, the newest first."""
MAX_TRANSFERS: Final = 200
"""Transfers of one reader that are not finished: a demonstration round is some dozens."""
MAX_TRANSFER_INSTANCES: Final = 50_000
"""Instances of one transfer, whose UIDs are kept in its job: a large study has some thousands."""
REPORT_WAIT_S: Final = 10.0
"""How long a report waits for the association that asked for it to have nothing else to do."""

# -- DICOM data sets -------------------------------------------------------------------------------------
MAX_INSTANCE_BYTES: Final = 4 * GIB - 2
"""Largest data set: the largest value that an explicit length can tell."""
MAX_INSTANCE_IN_MEMORY_BYTES: Final = 256 * MIB
"""A data set, or a part of one, that is held in memory as a whole; what is longer is only ever taken in pieces."""
SPOOLED_ABOVE_BYTES: Final = 64 * MIB
"""An arriving data set above this goes to a file of its own while it arrives, so that memory is bounded per sender."""
SPOOL_PIECE_BYTES: Final = 4 * MIB
"""What of it is hashed and written at once; three such pieces may be in memory for each."""
MAX_SPOOLED: Final = 16
"""Large data sets that arrive at the same time; more senders are told to try again."""
SLOWEST_TRANSFER_BYTES_PER_S: Final = 1 * MIB
"""A message gets a second more than MESSAGE_TIMEOUT_S for so many bytes that have come: a gigabyte over 100 Mbit/s."""
STREAMED_ABOVE_BYTES: Final = 32 * MIB
"""A stored data set above this leaves in pieces; its hash is proved before the first of them."""
MAX_HEADER_BYTES: Final = 64 * MIB
"""Everything before the pixel data; per-frame functional groups of 20,000 frames need some 30 MiB."""
MAX_SEQUENCE_DEPTH: Final = 32
"""Nested sequences: real objects use under ten; recursion beyond is an attack."""
MAX_ELEMENTS: Final = 1_000_000
"""Elements in one data set, items included."""
MAX_REQUESTS: Final = 32
"""Ordered procedure steps that one series is indexed with; a series answers one, seldom a handful."""
MAX_UID_CHARACTERS: Final = 64
"""PS3.5 9.1."""
MAX_DEFLATE_RATIO: Final = 200
"""Inflated : deflated size above which a deflated data set is taken for a bomb (text compresses 20 : 1)."""
MAX_INFLATED_BYTES: Final = 512 * MIB
"""Inflated size of a deflated data set."""
DEFLATE_FREE_BYTES: Final = 16 * MIB
"""Inflated size below which the ratio is not asked: a black picture deflates 1,000 : 1 and is no bomb."""

# -- HTTP ------------------------------------------------------------------------------------------------
MAX_HTTP2_STREAMS: Final = 100
"""Requests at once on one HTTP/2 connection, the least that RFC 9113 6.5.2 recommends."""
HTTP2_WINDOW_BYTES: Final = 1 * MIB
"""What a peer may send on an HTTP/2 connection, and on one request of it, before a door has taken it."""
MAX_HTTP2_RESETS: Final = 500
"""Requests that one HTTP/2 connection may begin and drop within HTTP2_RESETS_WITHIN_S: a reader who scrolls fast
drops some hundred pictures, an attacker thousands."""
HTTP2_RESETS_WITHIN_S: Final = 10.0
"""The time in which MAX_HTTP2_RESETS are counted."""
HTTP2_IDLE_S: Final = 30.0
"""An HTTP/2 connection without a request is closed after this."""
MAX_HTTP_HEADER_BYTES: Final = 64 * KIB
"""All header fields of one HTTP/2 request, as RFC 9113 6.5.2 counts them."""
MAX_HTTP_HEAD_BYTES: Final = 2 * MAX_HTTP_HEADER_BYTES
"""The head of one HTTP/1.1 request, with an address of thousands of frame numbers; and what may stand behind a body in
chunks. What was read together with the end of what came before is not counted."""
HTTP_HEAD_S: Final = 30.0
"""A connection that begins no request, or has begun one and not said which, is closed after this: it costs a file
handle of those that readers need. Browsers keep connections ahead of their use for less than that."""
MAX_STOW_BYTES: Final = 8 * GIB
"""One STOW-RS request body: two of the largest objects with what goes around them. It is never held as a whole."""
MAX_STOW_PARTS: Final = 10_000
"""Parts of one STOW-RS request."""
MAX_STOW_PENDING_BYTES: Final = 64 * MIB
"""Bytes of one STOW-RS request that wait for the disk before reading on: memory is bounded per sender."""
MAX_STOW_PENDING_INSTANCES: Final = 64
"""Instances of one STOW-RS request under way at once: as many as share one sync."""
MAX_STOW_IN_PLACE_BYTES: Final = 16 * MIB
"""One STOW-RS request body that is read to where its instances are stored from, as a whole: twenty CT slices. A longer
one comes in pieces, since its memory is taken when its first byte comes."""
MAX_STOW_IN_PLACE_TOGETHER_BYTES: Final = 256 * MIB
"""Such bodies of all connections together; beyond that they come in pieces too."""
MAX_PART_HEADER_BYTES: Final = 16 * KIB
"""Headers of one multipart part."""
MAX_KEPT_BASES: Final = 4
"""Names of the DICOMweb service for which compressed metadata are kept: inside, outside, and by address."""
MAX_BYTE_RANGES: Final = 16
"""Byte ranges of one request; a player asks for one, more are sent the whole."""
MAX_CHANGES: Final = 1_000
"""Changes of one page of the feed."""
MAX_CHANGES_SCANNED: Final = 100_000
"""Changes that one page looks through: of a reader who sees few of them each page stays quick."""
MAX_REJECTED_INSTANCES: Final = 20_000
"""Instances that one rejection note takes back: the largest studies have about as many."""
MAX_QUERY_CHARACTERS: Final = 32 * KIB
"""Query string of a search."""
MAX_SEARCH_ROWS: Final = 1_000
"""Rows of one page of QIDO-RS, unless the client asks for fewer."""
WINDOW_SECONDS: Final = 600.0
"""So long a page of QIDO-RS may go on behind the one before: a client that takes longer between two pages has left."""
MAX_KEPT_WINDOWS: Final = 10_000
"""Ends of pages that are remembered, some hundred bytes each; what follows an older one is counted from the first."""
MAX_FIND_ROWS: Final = 20_000
"""Matches of one C-FIND before it ends with Out of Resources (A700)."""
MAX_KEY_VALUES: Final = 10_000
"""Values of one key of a search: a list of UIDs of a large study fits, and the index takes that many at once."""
MAX_KEY_PATTERNS: Final = 100
"""Values of a key with wild cards among them, and words of a fuzzy name: each costs a comparison for every row."""
MAX_KEY_PERSONS: Final = 5_000
"""Persons whose number matches a wild card: the index takes so many keys at once; more can not be meant."""
MAX_KEY_CHARACTERS: Final = 1_024
"""A value with wild cards: the longest text that the index holds, with a card between its words."""
MAX_FORM_BYTES: Final = 1 * MIB
"""Body of a form in the web pages."""

# -- HL7 -------------------------------------------------------------------------------------------------
MAX_HL7_MESSAGE_BYTES: Final = 10 * MIB
"""One MLLP block: a report with an embedded PDF fits; 100 MB does not."""
MAX_MLLP_CONNECTIONS: Final = 256
"""Open MLLP connections in all."""
MAX_TIME_AHEAD_S: Final = 24 * 3600.0
"""How far the time of a text, or of the message that brings it, may lie ahead of our clock: more than clocks and time
zones differ. The latest word holds, so that a mistyped year would outlast every correction."""
HL7_MESSAGE_TIMEOUT_S: Final = 30.0
"""Time for one whole message from its first byte."""
IDLE_MLLP_TIMEOUT_S: Final = 4 * 3600.0
"""A connection without messages is closed: a RIS keeps one open over night, a leak keeps it for ever."""
MLLP_LINGER_S: Final = 2.0
"""How long a sender of a too large message is still read from, so that it gets to see the refusal."""
MAX_HL7_SEGMENTS: Final = 20_000
"""Segments of one message: a report with one OBX a line has hundreds; a batch of orders has thousands."""
MAX_HL7_FIELDS: Final = 1_000
"""Fields of one segment: the longest in the standard has some fifty."""
MAX_HL7_REPETITIONS: Final = 10_000
"""Repetitions of one field: a report with one repetition a line."""
MAX_HL7_COMPONENTS: Final = 500
"""Components of one repetition, and subcomponents of one component: the standard knows at most some thirty."""
MAX_REPORT_CHARACTERS: Final = 2_000_000
"""Text of one report version: a long one has 10,000; more than a book is no report."""
MAX_SR_ITEMS: Final = 50_000
"""Content items of one DICOM structured report: a report has hundreds, a CAD result some thousands."""
MAX_OBSERVATIONS: Final = 5_000
"""Numbers of one structured report that become FHIR Observations: a dose report of a long intervention has some
thousand."""
MAX_MEASURED_OBJECTS: Final = 200
"""Structured reports of one study that are read for their numbers: a study has one to ten."""
KEPT_SUM_BYTES: Final = 32 * MIB
"""Checksums of blocks in memory: of 64 GiB of objects that are read by parts."""
KEPT_MEASUREMENTS: Final = 256
"""Structured reports whose numbers are kept in memory after they were read: some megabytes."""
MAX_FHIR_BYTES: Final = 10 * MIB
"""One FHIR resource or transaction that is sent in: a report with an embedded PDF fits."""
MAX_FHIR_ITEMS: Final = 1_000
"""Repetitions of one element of a FHIR resource, entries of a transaction among them."""
MAX_CDA_BYTES: Final = 10 * MIB
"""One CDA document: a report with embedded pictures fits."""
MAX_ACK_CHARACTERS: Final = 1_000
"""Sentence in an acknowledgement: receivers keep it in a short column."""

# -- store -----------------------------------------------------------------------------------------------
SEGMENT_BYTES: Final = 1 * GIB
"""A journal file is closed at this size: small enough to copy and scrub, large enough to be few."""
PREPARED_BYTES: Final = 512 * MIB
"""Zeros that the journal writes ahead of its end while nothing is sent: a burst of some thousand slices."""
COMMIT_BATCH: Final = 64
"""Records that share one sync at the most: 64 instances of 0.5 MB are 32 MB, some 0.1 s of disk."""
COMMIT_QUEUE: Final = 1_024
"""Records waiting for the disk before doors are told to wait."""
DISK_RESERVE_BYTES: Final = 256 * MIB
"""Free space that intake leaves, so that audit, login and search go on when the disk is full."""
INDEX_LOG_BYTES: Final = 256 * MIB
"""Write-ahead log of the index above which it begins anew: every page that is looked for is looked for in it first."""
REBUILD_CACHE_BYTES: Final = 256 * MIB
"""Pages of the new index that are held in memory while it is made anew: its keys are random, each needs its page."""
MAX_RECORD_HEADER_BYTES: Final = 16 * MIB
"""Header of one journal record."""

# -- object store ----------------------------------------------------------------------------------------
MAX_OBJECT_BYTES: Final = 5 * GIB
"""One object: the largest that S3 takes in one request. A longer series stays in the journal."""
OBJECT_PIECE_BYTES: Final = 8 * MIB
"""One ranged read of an object: a tenth of a second of a gigabit line, so that a deadline says something."""
OBJECT_TIMEOUT_S: Final = 10.0
"""One request to the object store, apart from the time that many bytes take: senders wait for twenty to thirty."""
OBJECT_CONNECT_S: Final = 3.0
"""Until the object store's machine has taken a connection."""
OBJECT_STALL_S: Final = 5.0
"""Without a byte of an answer that has begun."""
OBJECT_SLOWEST_BYTES_PER_S: Final = 4 * MIB
"""An upload slower than this counts as one that has stopped."""
OBJECT_RETRIES: Final = 3
"""Repetitions of a request that failed on its way or with 5xx: a store that is being restarted is met again."""
OBJECT_RETRY_S: Final = 10.0
"""After this time from the first attempt nothing is repeated: the sender shall hear of it."""

SMALL_SEGMENT_BYTES: Final = 1 * MIB
"""A segment of the journal of which no more is left is joined to others."""
JOINED_BYTES: Final = 64 * MIB
"""One joined object, which is made in memory: seconds of a fast line."""
JOINED_SEGMENTS: Final = 1_000
"""Segments in one joined object, whose table has some 100 kB then."""
SMALLEST_JOIN: Final = 100
"""Fewer are not worth an object: they wait for more."""

# -- several nodes ---------------------------------------------------------------------------------------
NODE_SEGMENT_BYTES: Final = 32 * MIB
"""A segment of a node's own journal goes to the object store at this size: a second of a fast line."""
NODE_SEGMENT_S: Final = 2.0
"""After so long without a record it goes there as it is: what a lost node keeps from the others is this young."""
INNER_DOOR_BYTES: Final = 8 * MIB
"""One answer from node to node."""
INNER_DOOR_S: Final = 5.0
"""One question from node to node; a reader waits for it."""
INNER_CLOCK_S: Final = 60.0
"""How far the clocks of two nodes may be apart for a question to count."""
SHARED_ANSWER_S: Final = 5.0
"""One question about what nodes share (a session, a lease): a healthy database needs a millisecond, a reader waits."""
INDEX_CONNECT_S: Final = 5.0
"""Time for PostgreSQL to take a connection: a healthy one needs milliseconds, and callers wait meanwhile."""
INDEX_ANSWER_S: Final = 60.0
"""Time for PostgreSQL to answer one statement, as for SQLite's slowest searches; behind it lies a broken network."""
INDEX_CLOSE_S: Final = 2.0
"""Time for a connection to PostgreSQL to say good-bye."""
CLOCK_AHEAD_S: Final = 3600.0
"""How far a node's clock may be ahead of the database's before it writes nothing: no later record of any node has an
earlier time, so that one day of a wrong year would be the time of all that follows, and work that is put off to it."""
INDEX_SECTION_S: Final = 60.0
"""A node that says nothing for so long inside the serial section is thrown out of it: the others wait meanwhile. It is
the longest that one batch may take to the object store."""
INDEX_OUTCOME_S: Final = 10.0
"""How long the writer asks whether a COMMIT was made whose answer was lost: a fail-over takes as long."""

# -- settled series --------------------------------------------------------------------------------------
MAX_KEPT_SETTLED: Final = 50_000
"""Settled instances whose manifests are kept in memory: some 1 kB each, a few hundred series being read."""
MAX_SETTLED_SEARCH: Final = 100_000
"""Settled instances that one search at instance level may look through: some 1 s; wider ones must name more."""
MAX_MANIFEST_BYTES: Final = 1 * GIB
"""Manifest of one series object, unpacked: 500,000 frames in each of a hundred instances."""
SETTLE_ROWS: Final = 500
"""Instances that leave the index with one record: some 10 ms of the writer's thread."""
SETTLE_AGAIN_S: Final = 3600.0
"""A series that could not be settled (damage, a refusing disk) is tried again after this time."""
RETIRED_S: Final = 3600.0
"""A settled instance's bytes stay in the journal for this long: readings that began before go on."""
REMEMBERED_GIVEN_BACK: Final = 256
"""Segments of which it is remembered what was given back, for readings that began before: 256 GiB of them."""
SMALLEST_HOLE_BYTES: Final = 16 * KIB
"""Bodies below this stay in the journal: file systems give back whole blocks."""

CODING_CHILDREN: Final = 2
"""Processes that code frames of settled series, or decode them for readers: as many as there are for pictures."""
MAX_CODED_FRAME_BYTES: Final = 64 * MIB
"""A frame above this stays as it is: it is held in memory as a whole for every reading of a part of it."""
KEPT_DECODED_BYTES: Final = 64 * MIB
"""Decoded frames that are kept for whoever reads on in them: a few readers of mammograms, piece by piece."""
MAX_EXTENTS: Final = 5_000_000
"""Stretches of one series object with coded frames: two for each frame."""

# -- rendering -------------------------------------------------------------------------------------------
MAX_FRAME_PIXELS: Final = 256 * 1024 * 1024
"""Pixels of one decoded frame (a 16k x 16k mosaic)."""
DECODE_TIMEOUT_S: Final = 10.0
"""CPU seconds that the decoding of one frame may take in its child process."""
DECODE_MEMORY_BYTES: Final = 2 * GIB
"""Address space of a decoding child."""
MAX_RENDERED_SIDE: Final = 4_096
"""Longest side of a rendered picture in pixels."""
THUMBNAIL_SIDE: Final = 128
"""Longest side of a thumbnail in pixels."""
MAX_THUMBNAIL_SIDE: Final = 512
"""Largest side that a kept thumbnail may be asked for: sharp on a dense screen, still a few kB."""
RENDER_CHILDREN: Final = 2
"""Decoding child processes: one bad frame that uses its whole time leaves the other one for everybody else."""
RENDER_CHILD_IDLE_S: Final = 60.0
"""All but one child end when nothing was asked of them for so long, and start when a picture waits, in 0.2 s of a
processor: each takes 18 MiB."""
MAX_RENDERED_HERE_BYTES: Final = 2 * MIB
"""An uncompressed frame up to this size (1024 x 1024 of 16 bits) becomes a picture in a thread of the server: some
10 ms and 20 MiB at the most. Larger ones, and everything compressed, go to a child."""
RENDER_THREADS: Final = 3
"""Pictures in work at once in threads: one more than the usual cores, which idle while one is handed over."""
RENDER_QUEUE: Final = 512
"""Pictures waiting for a child or a thread; a page of thumbnails for each of some ten readers."""
RENDER_WAIT_S: Final = 30.0
"""Time from asking for a picture to its answer, queue included; browsers have given up long before."""
RENDER_DEADLINE_S: Final = 15.0
"""Wall clock that one frame may keep a child: DECODE_TIMEOUT_S of processor on a machine that is busy."""
RENDER_CHILD_FRAMES: Final = 20_000
"""A child is replaced after so many frames, so that a codec that leaks never fills the machine."""
RENDER_RESTART_S: Final = 10.0
"""Longest pause between attempts to start a decoding child that does not come up (doubled from 0.1 s)."""
MAX_RENDERED_BYTES: Final = 64 * MIB
"""One encoded picture: MAX_RENDERED_SIDE squared as PNG in colour is 48 MiB at the most."""
MAX_DECODED_BYTES: Final = 1 * GIB
"""One decoded frame given back as bytes: MAX_FRAME_PIXELS of 32 bits."""
MAX_TRANSCODED_BYTES: Final = 256 * MIB
"""Native pixels of an object that is decompressed for a receiver: it is built in memory, for each retrieval."""
MAX_FRAME_GROUPS: Final = 20_000
"""Frames whose own functional groups are kept for showing: the largest enhanced objects have as many."""
MAX_KEPT_HEADERS: Final = 20_000
"""Headers of instances kept for showing pictures; some 0.5 kB each, equal ones share their values."""
MAX_KEPT_REFUSALS: Final = 256
"""Pictures that could not be made, remembered for KEPT_REFUSAL_S: the same bomb does not kill child after child."""
KEPT_REFUSAL_S: Final = 60.0
"""How long a picture that could not be made is refused without another attempt."""
MAX_CLIP_FRAMES: Final = 1_000
"""Frames of one moving picture: half a minute of ultrasound; who wants more takes the object."""
MAX_RENDERED_CACHE_BYTES: Final = 16 * MIB
"""Rendered pictures kept in memory: some 300 of 55 kB, where a few readers are just now; browsers keep their own."""

# -- sessions and access ----------------------------------------------------------------------------------
SESSION_IDLE_S: Final = 20 * 60
"""A viewer session without requests ends: a left workstation must not stay open."""
SESSION_LIFETIME_S: Final = 12 * 3600
"""A viewer session ends after a working day whatever happens."""
REFUSAL_STEP_S: Final = 0.005
"""A first refusal of a study is answered at the next of these steps: fifty times what a hidden person's registers take
to read beside nobody's, so that a clock tells one from the other in one question of fifty at the most."""
VIEW_SECONDS: Final = 5.0
"""A View may be reused for this long: a block or withdrawn consent works everywhere within it."""
PULSE_S: Final = 2.0
"""An open page asks this often whether it may still show what it shows; with VIEW_SECONDS / 2 it stays under 5 s."""
LIFT_DAYS: Final = 7
"""A temporary lift of a block lasts at most this many days."""
NATIONAL_TIMEOUT_S: Final = 60.0
"""One call to a national service: an unfiltered reading of all blocks may take ten seconds by its own promise."""
MAX_NATIONAL_ANSWER_BYTES: Final = 256 * MIB
"""One answer of a national service: some 200,000 blocks of a kilobyte."""
MAX_NATIONAL_BLOCKS: Final = 200_000
"""National blocks in one reading; a region has some thousands."""
NATIONAL_BLOCKS_PER_RECORD: Final = 1_000
"""National blocks that share one record of the journal: some 300 KiB of row changes."""
NATIONAL_GRANT_TIMEOUT_S: Final = 8.0
"""One call to a national register of consent or relation or to the staff directory, as a whole: somebody waits for it
at the screen, and they promise an answer within a second."""
MAX_ASSIGNMENTS: Final = 500
"""Assignments of one person in the staff directory; a locum has some dozens."""
MAX_NATIONAL_PAGES: Final = 1_000
"""Parts of one reading of a national register."""
MAX_NATIONAL_GRANTS: Final = 500_000
"""Consents or relations in one reading of one provider's: a region's largest has some hundred thousand."""
NATIONAL_GRANTS_PER_RECORD: Final = 1_000
"""Copied consents or relations that share one record of the journal: some 300 KiB of row changes."""
NATIONAL_WHOLE_EVERY_S: Final = 900.0
"""A copy of consents or relations is read whole so often: what was taken back and never told again stays no longer."""
NATIONAL_MARK_S: Final = 60.0
"""How far an unchanged copy has come is written down so often; a restart reads at most this much twice."""
NATIONAL_TELLING_ATTEMPTS: Final = 2_000
"""Attempts to tell a national register of what was registered or ended here: a week at the longest pause."""
NATIONAL_TELLING_PAUSE_S: Final = 300.0
"""The longest pause between two such attempts."""
GUARDIAN_FILE_S: Final = 60.0
"""It is looked so often whether the file of guardians has changed."""
MAX_GUARDIAN_FILE_BYTES: Final = 64 * MIB
"""The file of guardians: a million lines, more than a region has children."""
ACCESS_LOG_TIMEOUT_S: Final = 17.0
"""One call to the national log service: it answers within fifteen seconds, be it that the report is being made."""
ACCESS_LOG_WAIT_S: Final = 20.0
"""How long a page waits for the national log service's report altogether."""
ACCESS_LOG_DAYS: Final = 548
"""Eighteen months: so long the national log service keeps accesses at hand (TKB 2.0.8, 4.4.2)."""
ACCESS_LOG_QUEUED_S: Final = 24 * 3600
"""A report that is being made is asked for again during a day; then a new one is asked for."""
MAX_ACCESS_LOG_PARTS: Final = 64
"""Parts into which the time is divided when the service has more than it tells at once (10,000)."""
MAX_QUEUED_REPORTS: Final = 1_000
"""Reports being made that are remembered; the oldest are forgotten and asked for anew."""
LIFT_REQUEST_HOURS: Final = 24
"""A request to lift a block can be answered for this long: as long as the emergency that it rests on."""
MAX_REQUEST_CHARACTERS: Final = 500
"""Free text in a request to lift a block and in its answer: some sentences, no copy of the record."""
MAX_LIFT_REQUESTS: Final = 20
"""Unanswered requests of one person: nobody has more patients in danger at once."""
EMERGENCY_HOURS: Final = 24
"""An emergency ground (nödöppning) lasts at most this long: the danger is over or it is attested again."""
RELATION_DAYS: Final = 14
"""An attested care relation lasts at most this many days, as long as a referral keeps one alive."""
AUDIT_REPEAT_S: Final = 15 * 60
"""The same opening by the same session is written once in this time: one row per reading, not per frame."""
DELIVERY_PAUSE_S: Final = 300.0
"""Longest pause between attempts to deliver audit entries to a receiver that does not answer (doubled from 1 s)."""
ENGAGEMENT_PERSONS: Final = 50
"""Persons in one call to the engagement index: some 50 kB, and few to be told again when one of them is refused."""
ENGAGEMENT_BACKLOG: Final = 1_000
"""Persons waiting for the engagement index above which `samsyn check` says so: an hour of a busy region."""
MAX_REFUSED_IN_ROW: Final = 10
"""Audit entries that a receiver may refuse one after another before that counts as an outage of its or ours."""
MAX_SOAP_ANSWER_BYTES: Final = 1 * MIB
"""One SOAP answer of a national service that says whether it took something: some hundred bytes."""
SYSLOG_TIMEOUT_S: Final = 20.0
"""Until an audit record repository's machine must have confirmed a call of messages."""
SYSLOG_CLOSE_S: Final = 5.0
"""How long a stop waits for a repository to end its side, which tells that it has read everything."""
SYSLOG_UNREAD_BYTES: Final = 8 * MIB
"""What a repository's machine may have confirmed while its program has not read it: Linux lets a connection have 6 MiB
by itself, 32 MiB of late, and calls of some 70 KiB, each confirmed before the next, never make it give so much."""
SYSLOG_HANDLED_S: Final = 60.0
"""What a program has read for so long when it closes the connection in an orderly way, it has dealt with."""
LOG_PAGE: Final = 100
"""Entries or checks on one page of the log review."""
MAX_CHECK_SIZE: Final = 200
"""Accesses in one check of the log: more than anybody goes through in a day."""
MAX_REVIEWED_ROWS: Final = 3_000_000
"""Entries of one provider in a period that a sample is drawn from: a quarter of a large hospital, some seconds."""
MAX_REVIEWED_STAFF: Final = 50_000
"""Members of staff whose names a targeted check compares."""
MAX_EXTRACT_ROWS: Final = 20_000
"""Entries that one log extract is made from: years of a person who is much in care."""
REFUSALS_PER_MINUTE: Final = 120
"""Refused log-ins and acts written in the audit journal each minute; the rest is counted, so that nobody fills it."""
MAX_KEPT_REFUSED: Final = 10_000
"""Refused callers remembered as already written down."""
ANCHOR_WAIT_S: Final = 5.0
"""How long a stop waits for the place of the anchors: it may be a network disk that does not answer."""
MAX_KEPT_VIEWS: Final = 10_000
"""Views kept for reuse: some thousand readers with a handful of patients each."""
MAX_KEPT_OPENINGS: Final = 200_000
"""Openings remembered as already audited; older ones are written again."""
MAX_KEPT_CHOICES: Final = 50_000
"""Sessions' active choices in memory; the oldest is forgotten, which closes what it had opened."""
MAX_SESSIONS: Final = 20_000
"""Login sessions in memory; beyond it the one that has been idle longest ends."""
LOGIN_SECONDS: Final = 10 * 60
"""From being sent to the identity provider to coming back: a card, a code and a choice of assignment fit."""
MAX_PENDING_LOGINS: Final = 5_000
"""Log-ins under way; beyond it the oldest must begin again."""
MAX_PENDING_LAUNCHES: Final = 5_000
"""Calls of record systems that wait for their browser; beyond it the oldest must be made again."""
LOGOUT_TOKEN_S: Final = 120
"""How old an identity provider's logout token may be; it is made for the moment."""
CODE_SECONDS: Final = 60
"""An authorization code of the demo identity provider is used within this time, once."""
IDENTITY_PROVIDER_TIMEOUT_S: Final = 10.0
"""One call to the identity provider."""
MAX_IDENTITY_ANSWER_BYTES: Final = 1 * MIB
"""One answer of the identity provider: discovery, keys and tokens are a few kilobytes."""
MAX_SAML_BYTES: Final = 256 * KIB
"""One SAML message: a response with a few hundred rights has some 50 KiB."""
MAX_SAML_ELEMENTS: Final = 5_000
"""Elements of one SAML message: each right is one."""
SAML_MESSAGE_S: Final = 10 * 60
"""How old a SAML message may be, and how long an assertion may be usable: as long as a log-in may take."""
CLOCK_LEEWAY_S: Final = 30
"""How far the identity provider's clock may be from ours."""
MAX_VIEW_PERSONS: Final = 100
"""Persons whom one View may name; lists over more are for systems, which name none."""
MAX_WORDING_CHARACTERS: Final = 2_000
"""The exact wording that a reader saw at a step of the reveal, kept in the audit journal."""
MAX_FHIR_PARAMETERS: Final = 50
"""Parameters of one FHIR search; a thoughtful question has five."""
FHIR_PAGE: Final = 100
"""Resources in one page of a FHIR search that does not say how many."""
MAX_FHIR_PAGE: Final = 1_000
"""Resources in one page of a FHIR search, and included ones beside them."""
MAX_GIVEN_NAMES: Final = 500
"""Resources of one examination that the address of a next page names as given, of eight characters each: an
address stays below the 16 KiB that HTTP parsers take. Only a dose report has more numbers."""
MAX_FHIR_EVERYTHING: Final = 20_000
"""Resources in one answer of $everything: a life of examinations."""
MAX_FHIR_FORM_BYTES: Final = 16 * 1024
"""A FHIR search sent as a form."""
MAX_SUBSCRIPTIONS: Final = 20
"""FHIR subscriptions of one system; a RIS needs one for each kind."""
MAX_SUBSCRIPTION_CHARACTERS: Final = 500
"""Criteria, endpoint and reason of a FHIR subscription, each."""
NOTIFIED_AT_ONCE: Final = 100
"""Events in one notification of a FHIR subscription; the rest goes in the next one, at once."""
MIN_HEARTBEAT_S: Final = 10
"""Shortest heartbeat of a FHIR subscription, s: more often would be polling the wrong way round."""
NOTIFICATION_TIMEOUT_S: Final = 15.0
"""One call to a subscriber's endpoint, s: it has only to take the notification, not to act on it."""
NOTIFICATION_PAUSE_S: Final = 300.0
"""Longest pause between two attempts to notify, s; doubled from one second."""
SUBSCRIPTION_GIVEN_UP_S: Final = 7 * 24 * 3600.0
"""After so long without an answer a subscription is off, s; nothing is lost, for the change feed tells it later."""
MAX_SOAP_REQUEST_BYTES: Final = 64 * 1024
"""One call of a national contract: a question with some hundred care units has some 10 kB."""
MAX_SOAP_DEPTH: Final = 32
"""Nested elements of a call: the contract's own questions have six."""
MAX_SOAP_ELEMENTS: Final = 2_000
"""Elements of a call: each care unit that is asked for is one."""
MAX_IMAGING_OUTCOMES: Final = 1_000
"""Reports in one answer of GetImagingOutcome, the newest ones: within its 27 s, and more than anybody has at one
source."""
MAX_SCOPES: Final = 100
"""SMART scopes of one request: an app that names every kind for itself has some thirty."""
SMART_TOKEN_S: Final = 3_600
"""Life of an app's token, s; it ends before with the log-in session that it belongs to."""
OFFLINE_DAYS: Final = 365
"""Longest that a private person lets an app go on by itself, days: once a year he says so again."""
BACKEND_TOKEN_S: Final = 300
"""Life of a server's token, s: the guide's longest; a server asks for a new one."""
ASSERTION_S: Final = 300
"""Longest life of a server's signed assertion, s (SMART Backend Services)."""
MAX_SMART_TOKENS: Final = 100_000
"""Tokens of apps and servers that are alive at once; the oldest gives way."""
MAX_OPENED_PATIENTS: Final = 20
"""Patients that one session holds open at once; nobody has a larger round, and the oldest is dropped."""
MAX_SESSIONS_WITH_PATIENTS: Final = 10_000
"""Sessions whose opened patients are remembered; beyond it the longest unused must search again."""
MAX_LEFT_PAGES: Final = 50_000
"""Opened patients that can be gone on with after a new log-in; beyond it the oldest must be sought again."""
MAX_KEPT_STACKS: Final = 2_000
"""Series whose order of pictures the web pages remember: some thousand readers look at one each."""

# -- patients ----------------------------------------------------------------------------------------------
MAX_SUGGESTIONS: Final = 5
"""Numbers suggested for a mistyped one: more would be guessing."""
MAX_NAME_MATCHES: Final = 25
"""Persons in the answer to a name: with more, the question must tell more."""
MIN_NAME_LETTERS: Final = 4
"""Letters of a name that is looked up: fewer list people instead of finding one."""
MAX_WORK_LIST: Final = 500
"""Cases that a steward's list shows: with more, the oldest first, and the count tells the rest."""
