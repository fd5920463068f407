//go:build !linux

// Epoll drives two markets from an event loop of the program's own. It needs Linux.
package main

import (
	"errors"
	"log"
)

func main() { log.Fatal(errors.ErrUnsupported) }
