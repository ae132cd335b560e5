"""The indices of the argument words and constants of the matrix product's kernels.

Words (addresses): A, B, the bias row, C, scratch; then the number of threads that there is scratch
for (threads beyond it do nothing); then the operands that the finishing kernel reads besides C.
"""

CONSTANTS, A, B, BIAS, C, SCRATCH, THREADS, OPERAND = range(8)

# Constants. Strides are in bytes.
(BATCH, A_BATCH, B_BATCH, C_BATCH,  # the number of products, and the strides between them
 M, N, K, A_ROW, A_COL, B_ROW, B_COL, C_ROW, C_COL,
 START,  # the start of the sums: ZEROS, BIASED or ACCUMULATED
 BLOCK_M, BLOCK_N, BLOCK_K,
 COPY_A, DIRECT_B,  # whether blocks of A are copied; whether B is read in place
 TRANSPOSED,  # 1: C' = B' A' is computed (by tiles, in scratch), with A and B exchanged
 PANELS_AT, PANEL_STEP,  # in a thread's scratch: the first panel, and the stride between panels
 SLOTS, TOGETHER,  # panels that the scratch holds; panels that are packed at a time
 TILES,  # the address of the kernel in tiles.py
 PER_THREAD,  # bytes of scratch per thread
 FINISH, OPERANDS,  # the address of the finishing kernel or 0, and its number of operands, C first
 STRIDES,  # per operand its strides: between products, rows and columns
 ) = range(29)  # fmt: skip

ZEROS, BIASED, ACCUMULATED = range(3)  # sums start from 0, from the bias, from C

# Words of the kernel in tiles.py, all of them numbers.
(ROWS, COLUMNS, DEPTH, TILE_A, TILE_A_ROW, TILE_A_COL, PANEL, PANEL_ROW,
 TILE_C, TILE_C_ROW, INIT, INIT_ROW,
 AHEAD, AHEAD_ROW, FURTHER,  # cache lines to prefetch: see tiles.py
 ) = range(15)  # fmt: skip

# A thread's scratch: a row of zeros, the words and the constants of the finishing kernel, then a
# block of A, then panels of B.
FINISH_WORDS, FINISH_CONSTANTS, BLOCK_A = 128, 256, 512
MOST_OPERANDS = 12
FINISHED_AT_ONCE = 1 << 17  # bytes of C
