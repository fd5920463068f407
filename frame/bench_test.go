package frame_test

import (
	"bytes"
	"fmt"
	"net"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/frame"
)

// stream is about size bytes of text messages of n bytes each, and their number.
func stream(size, n int) ([]byte, int) {
	one := wire(false, true, ws.OpText, string(bytes.Repeat([]byte("x"), n)))
	count := max(1, size/len(one))
	return bytes.Repeat(one, count), count
}

func reportMessages(b *testing.B, messages int) {
	b.ReportMetric(float64(messages)/b.Elapsed().Seconds(), "msgs/s")
}

func BenchmarkReceive(b *testing.B) {
	for _, n := range []int{124, 2400, 49 << 10} {
		in, count := stream(128<<10, n)
		newFramer := func() (*frame.Framer, *countingHandler) {
			h := new(countingHandler)
			return frame.New(frame.Config{}, h), h
		}
		b.Run(fmt.Sprintf("Feed/%d", n), func(b *testing.B) {
			f, h := newFramer()
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, f.Feed(in))
			}
			reportMessages(b, h.messages)
		})
		b.Run(fmt.Sprintf("Commit/%d", n), func(b *testing.B) { // with the copy that a read is
			f, h := newFramer()
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, f.Commit(copy(f.Buffer(), in)))
			}
			reportMessages(b, h.messages)
			require.Zero(b, h.messages%count)
		})
	}
}

func BenchmarkSend(b *testing.B) {
	for _, n := range []int{124, 2400} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			f := frame.New(frame.Config{}, new(countingHandler))
			p := bytes.Repeat([]byte("x"), n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, f.Send(ws.OpText, p))
				f.Sent(len(f.Outgoing()))
			}
		})
	}
}

// BenchmarkLoopback compares reading over TCP with a loop that only drains the socket.
func BenchmarkLoopback(b *testing.B) {
	for _, n := range []int{124, 2400} {
		in, _ := stream(1<<20, n)
		b.Run(fmt.Sprintf("drain/%d", n), func(b *testing.B) {
			buf := make([]byte, 256<<10)
			receive(b, in, func(conn net.Conn) (int, error) { return conn.Read(buf) })
		})
		b.Run(fmt.Sprintf("framer/%d", n), func(b *testing.B) {
			h := new(countingHandler)
			f := frame.New(frame.Config{}, h)
			receive(b, in, func(conn net.Conn) (int, error) {
				n, err := conn.Read(f.Buffer())
				if err != nil {
					return n, err
				}
				return n, f.Commit(n)
			})
			reportMessages(b, h.messages)
		})
	}
}

// receive has a peer write in over and over, and times read until b.N of them have arrived.
func receive(b *testing.B, in []byte, read func(net.Conn) (int, error)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			if _, err := conn.Write(in); err != nil {
				return
			}
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(b, err)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	b.ResetTimer()
	for left := b.N * len(in); left > 0; {
		n, err := read(conn)
		if err != nil {
			b.Fatal(err)
		}
		left -= n
	}
	b.StopTimer()
	conn.Close()
	<-done
}
