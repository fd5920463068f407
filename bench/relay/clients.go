package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tickstorm/tickstorm"
)

// client takes bytes and looks for stamps in them.
type client struct {
	conn  net.Conn
	from  *bufio.Reader
	bytes atomic.Uint64
	lag   tickstorm.Histogram // the reading goroutine's, until it ends
	open  atomic.Bool         // lags count
}

// take reads to the end.
func (c *client) take() {
	buf := make([]byte, 0, 256<<10)
	for {
		n, err := c.from.Read(buf[len(buf):cap(buf)])
		if err != nil {
			return
		}
		now := time.Now()
		c.bytes.Add(uint64(n))
		buf = buf[:len(buf)+n]
		rest := buf
		for {
			i := bytes.Index(rest, []byte(stampHead[1:]))
			if i < 0 || len(rest)-i < len(stampHead)+stampSize {
				if i < 0 {
					i = max(0, len(rest)-len(stampHead))
				}
				rest = rest[i:]
				break
			}
			rest = rest[i+len(stampHead)-1:]
			at, err := strconv.ParseInt(string(rest[:stampSize]), 10, 64)
			if err == nil && c.open.Load() {
				c.lag.Observe(time.Duration(now.UnixNano() - at))
			}
			rest = rest[stampSize:]
		}
		buf = buf[:copy(buf[:cap(buf)], rest)]
	}
}

// dial connects a client, and sends what opens the stream.
func dial(address, hello string) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, from: bufio.NewReaderSize(conn, 64<<10)}
	_, err = io.WriteString(conn, hello)
	return c, err
}

// handshake opens a WebSocket, and sends requests behind that.
func handshake(address, path string, requests ...string) (*client, error) {
	c, err := dial(address, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
	if err != nil {
		return nil, err
	}
	for line := ""; line != "\r\n"; {
		if line, err = c.from.ReadString('\n'); err != nil {
			return nil, err
		}
	}
	for _, r := range requests {
		if _, err := io.WriteString(c.conn, frameOf(r)); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// frameOf is a text frame as clients send it, with a mask of zeros, which changes nothing.
func frameOf(text string) string {
	var b strings.Builder
	b.WriteByte(0x81)
	switch n := len(text); {
	case n < 126:
		b.WriteByte(0x80 | byte(n))
	default:
		b.WriteByte(0x80 | 126)
		b.WriteByte(byte(n >> 8))
		b.WriteByte(byte(n))
	}
	b.WriteString("\x00\x00\x00\x00" + text)
	return b.String()
}

// crowd is clients that take what comes.
type crowd struct {
	clients []*client
	taking  sync.WaitGroup
}

func (c *crowd) add(one *client) {
	c.clients = append(c.clients, one)
	c.taking.Go(one.take)
}

func (c *crowd) bytes() (n uint64) {
	for _, one := range c.clients {
		n += one.bytes.Load()
	}
	return n
}

// measureLag has the lags of what comes from now on counted.
func (c *crowd) measureLag(on bool) {
	for _, one := range c.clients {
		one.open.Store(on)
	}
}

// close ends the clients, and returns their lags.
func (c *crowd) close() (lag tickstorm.Histogram) {
	for _, one := range c.clients {
		_ = one.conn.Close()
	}
	c.taking.Wait()
	for _, one := range c.clients {
		lag.Merge(&one.lag)
	}
	return lag
}

// awaitBytes waits until every client has taken something.
func (c *crowd) awaitBytes(n uint64) error {
	deadline := time.Now().Add(20 * time.Second)
	for _, one := range c.clients {
		for one.bytes.Load() < n {
			if time.Now().After(deadline) {
				return fmt.Errorf("a client has %d bytes after 20 s", one.bytes.Load())
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	return nil
}
