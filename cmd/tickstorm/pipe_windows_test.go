package main

import "syscall"

const brokenPipe = syscall.ERROR_BROKEN_PIPE
