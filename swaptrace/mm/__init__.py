"""The kernel: pure functions over page columns, in files named after mm/*.c."""
