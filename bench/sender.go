package bench

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/gobwas/ws"

	"github.com/tickstorm/tickstorm/internal/selfsigned"
)

// This file has both halves of the process that sends: a receiver that shared a process,
// with its scheduler and garbage collector, with its sender would be measured along
// with it.

// senderVariable tells a process that it is to be a sender, and of what: the corpus,
// behind "tls:" if its connections are encrypted.
const senderVariable = "TICKSTORM_BENCH_SENDER"

const secure = "tls:"

// Sender is a process that serves one corpus to everybody who connects, over and over
// and as fast as the socket takes it, like a feed that never pauses.
type Sender struct {
	Corpus *Corpus
	// TLS is what to verify the connections with, nil if they are plain.
	TLS *tls.Config

	address string
	process *exec.Cmd
	stdin   io.Closer
}

// greeting is what a sender says first.
type greeting struct {
	Address     string
	Certificate []byte // in DER; none if connections are plain
}

// StartSender starts a process with the program that runs, which must call [SenderMain]
// first of all. The process ends with Close, or with the process that started it.
func StartSender(corpus string, encrypted bool) (*Sender, error) {
	c, err := Load(corpus)
	if err != nil {
		return nil, err
	}
	s, err := launch(corpus, encrypted)
	if err == nil {
		s.Corpus = c
	}
	return s, err
}

// launch starts the process for a task.
func launch(task string, encrypted bool) (*Sender, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if encrypted {
		task = secure + task
	}
	s := &Sender{process: exec.Command(program)}
	s.process.Env = append(os.Environ(), senderVariable+"="+task)
	s.process.Stderr = os.Stderr
	// The process lives as long as its standard input is open, and this end of it
	// closes even if we are killed.
	if s.stdin, err = s.process.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := s.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	var g greeting
	if err := json.NewDecoder(stdout).Decode(&g); err != nil {
		return nil, errors.Join(fmt.Errorf("sender did not start: %w", err), s.Close())
	}
	s.address = g.Address
	if encrypted {
		certificate, err := x509.ParseCertificate(g.Certificate)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.TLS = &tls.Config{RootCAs: selfsigned.Trust(certificate), MinVersion: tls.VersionTLS13}
	}
	return s, nil
}

// URL returns where to connect to.
func (s *Sender) URL() string {
	if s.TLS != nil {
		return "wss://" + s.address
	}
	return "ws://" + s.address
}

// Close ends the process and waits for its end.
func (s *Sender) Close() error {
	_ = s.stdin.Close() // cannot fail in a way that matters: it ends the process or Wait does not return
	return s.process.Wait()
}

// SenderMain turns the process into a sender, and does not return, if [StartSender]
// started it. Otherwise it does nothing. TestMain is the place to call it.
func SenderMain() {
	task := os.Getenv(senderVariable)
	if task == "" {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	err := serve(task)
	fmt.Fprintln(os.Stderr, "sender:", err)
	os.Exit(1)
}

func serve(task string) error {
	encrypted := len(task) > len(secure) && task[:len(secure)] == secure
	if encrypted {
		task = task[len(secure):]
	}
	stream := tick
	if task != tickerTask {
		corpus, err := Load(task)
		if err != nil {
			return err
		}
		wire := corpus.Wire()
		stream = func(conn net.Conn) error { return flood(conn, wire) }
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	g := greeting{Address: l.Addr().String()}
	var config *tls.Config
	if encrypted {
		certificate, err := selfsigned.Certificate("tickstorm sender", 24*time.Hour, "127.0.0.1")
		if err != nil {
			return err
		}
		config = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS13}
		g.Certificate = certificate.Certificate[0]
	}
	if err := json.NewEncoder(os.Stdout).Encode(g); err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		if encrypted {
			conn = tls.Server(&coalescing{Conn: conn, w: bufio.NewWriterSize(conn, recordsAtOnce)}, config)
		}
		go func() {
			defer conn.Close()
			if err := send(conn, stream); err != nil && !hungUp(err) {
				fmt.Fprintln(os.Stderr, "sender:", err)
			}
		}()
	}
}

// send holds the dialogue of the feed, as little of it as there can be, and then streams.
func send(conn net.Conn, stream func(net.Conn) error) error {
	if _, err := ws.Upgrade(conn); err != nil {
		return err
	}
	if err := say(conn, `[{"ev":"status","status":"connected","message":"Connected Successfully"}]`); err != nil {
		return err
	}
	key, err := ws.ReadHeader(conn)
	if err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, conn, key.Length); err != nil { // whichever
		return err
	}
	if err := say(conn, `[{"ev":"status","status":"auth_success","message":"authenticated"}]`); err != nil {
		return err
	}
	return stream(conn)
}

func flood(conn net.Conn, wire []byte) error {
	for {
		if _, err := conn.Write(wire); err != nil {
			return err
		}
	}
}

func say(conn net.Conn, msg string) error {
	return ws.WriteFrame(conn, ws.NewTextFrame([]byte(msg)))
}

// hungUp reports whether an error is how a receiver ends that has had enough.
func hungUp(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.As(err, &op)
}

// recordsAtOnce is how many bytes of TLS records go into one write.
const recordsAtOnce = 256 << 10

// coalescing is the connection below TLS: crypto/tls writes every record of 16 KiB on its
// own, and a sender that does so can be slower than what it is to flood. Whoever waits
// for an answer has said all it has to say.
type coalescing struct {
	net.Conn
	w *bufio.Writer
}

func (c *coalescing) Write(p []byte) (int, error) { return c.w.Write(p) }

func (c *coalescing) Read(p []byte) (int, error) {
	if err := c.w.Flush(); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}
