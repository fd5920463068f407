package main

import "os"

// readableByOthers is not known here: access is not in the mode.
func readableByOthers(*os.File) bool { return false }
