//go:build !linux

// Epoll drives two markets from an event loop of the program's own. It needs Linux.
package main

import (
	"log"

	"github.com/tickstorm/tickstorm"
)

func main() { log.Fatal(tickstorm.ErrUnsupported) }
