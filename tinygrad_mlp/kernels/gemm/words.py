"""Where the words and constants of the matrix product's kernels stand: one list, one home.

Words (addresses): A, B, the bias row, C, scratch, then for how many threads there is scratch (more
than these stand by), then what the finishing kernel reads beside C.
"""

CONSTANTS, A, B, BIAS, C, SCRATCH, THREADS, BESIDE = range(8)

# Constants. Strides are in bytes.
(
    BATCH,
    A_BATCH,
    B_BATCH,
    C_BATCH,  # how many products, and the steps from one to the next
    M,
    N,
    K,
    A_ROW,
    A_COL,
    B_ROW,
    B_COL,
    C_ROW,
    C_COL,
    START,  # what sums start from: one of the three below
    BLOCK_M,
    BLOCK_N,
    BLOCK_K,
    COPY_A,
    DIRECT_B,  # whether blocks of A are copied together; whether B is read as it lies
    TURNED,  # 1: C' = B' A' is computed (by tiles, in scratch), and A and B change roles
    PANELS_AT,
    PANEL_STEP,  # in a thread's scratch: the first panel, and from one to the next
    SLOTS,
    TOGETHER,  # how many panels there is room for, how many are packed at a time
    TILES,  # the address of the kernel in tiles.py
    PER_THREAD,  # bytes of scratch for a thread
    FINISH,
    OPERANDS,  # the finishing kernel's address or 0; its operands, C the first
    STRIDES,  # for each operand its strides: from product to product, row to row, column to column
) = range(29)

ZEROS, BIASED, ACCUMULATED = range(3)  # sums start from 0, from the bias, from what is in C

# A thread's scratch: a row of zeros, the words and the constants of the finishing kernel, then a
# block of A, then panels of B.
FINISH_WORDS, FINISH_CONSTANTS, BLOCK_A = 128, 256, 512
MOST_OPERANDS = 12
FINISHED_AT_ONCE = 1 << 17  # bytes of C
