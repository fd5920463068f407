//go:build !linux

// Sixmarkets streams six markets on one thread. It needs Linux.
package main

import (
	"errors"
	"log"
)

func main() { log.Fatal(errors.ErrUnsupported) }
