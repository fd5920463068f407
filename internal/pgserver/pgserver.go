// Package pgserver runs PostgreSQL for tests: a server of its own in a temporary folder, which only a
// socket there leads to, from the binaries that the machine has.
package pgserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// ErrMissing: the machine has no PostgreSQL, or none that can be run.
var ErrMissing = errors.New("pgserver: no PostgreSQL on this machine: initdb and postgres are neither in PATH nor in /usr/lib/postgresql/*/bin")

// Variable, set to "required" in the environment, has tests fail that would be skipped without a server.
const Variable = "TICKSTORM_POSTGRES"

// patience is a net against hangs.
const patience = time.Minute

// Server is a server. One goroutine at a time uses it.
type Server struct {
	bin, dir string
	options  []string
	cmd      *exec.Cmd
	stdin    io.Closer
}

// Guarded is a role that needs a password, which is Password; all others are let in.
const (
	Guarded  = "guarded"
	Password = "open-sesame-4711"
)

// Skip ends a test that has no server for the reason of err.
func Skip(tb testing.TB, err error) {
	tb.Helper()
	if errors.Is(err, ErrMissing) && os.Getenv(Variable) != "required" {
		tb.Skip(err)
	}
	tb.Fatal(err)
}

// Start starts a server, with options such as "fsync=on"; fsync is off otherwise. Its superuser is
// postgres. Stop ends it.
func Start(options ...string) (_ *Server, err error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg-") // a short path: a socket's may not be long
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, options: options}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if err := own(dir); err != nil {
		return nil, err
	}
	initdb := s.command("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pgserver: initdb: %w: %s", err, out)
	}
	rules := "local all " + Guarded + " scram-sha-256\nlocal all all trust\n"
	if err := os.WriteFile(filepath.Join(s.data(), "pg_hba.conf"), []byte(rules), 0o600); err != nil {
		return nil, err
	}
	return s, s.Restart()
}

// binaries is the folder that has the newest.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if _, err := exec.LookPath("postgres"); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is a good one
	version := func(path string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path))))
		return n
	}
	if len(found) == 0 || !runnable {
		return "", ErrMissing
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	disguise(cmd)
	return cmd
}

// watch is a shell that becomes a server, and has it end with this process, however that ends.
const watch = `exec 3<&0; { read -r _ <&3; kill -QUIT $$; } 2>/dev/null & exec "$@" </dev/null 3<&-`

// Restart starts the server, which does not run, and returns when it takes connections.
func (s *Server) Restart() error {
	deadline := time.Now().Add(patience)
	for {
		err := s.start(deadline)
		if err == nil {
			return nil
		}
		s.end()
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond) // what is left of one that was killed is still going
	}
}

func (s *Server) start(deadline time.Time) error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-c", watch, "sh", filepath.Join(s.bin, "postgres"), "-D", s.data(),
		"-c", "listen_addresses=", "-c", "unix_socket_directories=" + s.dir, "-c", "fsync=off", "-c", "shared_buffers=64MB"}
	for _, o := range s.options {
		args = append(args, "-c", o)
	}
	s.cmd = exec.Command("/bin/sh", args...)
	s.cmd.Dir, s.cmd.Env, s.cmd.Stdout, s.cmd.Stderr = s.dir, append(os.Environ(), "LC_ALL=C"), log, log
	disguise(s.cmd)
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for time.Now().Before(deadline) {
		text, _ := os.ReadFile(filepath.Join(s.data(), "postmaster.pid")) // there is none in the beginning
		if lines := bytes.Split(text, []byte("\n")); len(lines) > 7 && bytes.HasPrefix(lines[7], []byte("ready")) && alive(s.pid()) {
			return nil
		}
		if said := s.fatal(); said != "" {
			return fmt.Errorf("pgserver: %s", said)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return errors.New("pgserver: not ready in time")
}

// fatal is what the server said before it gave up, if it has.
func (s *Server) fatal() string {
	said, _ := os.ReadFile(filepath.Join(s.dir, "log")) // there is one
	for line := range strings.Lines(string(said)) {
		if strings.Contains(line, "FATAL:") && strings.HasSuffix(line, "\n") && !strings.Contains(line, "the database system is") { // which clients are told
			return string(said)
		}
	}
	return ""
}

// pid is that of the server, 0 if it has none.
func (s *Server) pid() int {
	text, _ := os.ReadFile(filepath.Join(s.data(), "postmaster.pid")) // gone with the server
	first, _, _ := strings.Cut(string(text), "\n")
	n, _ := strconv.Atoi(first)
	return n
}

// Kill kills the server, whose processes then end by themselves.
func (s *Server) Kill() error {
	err := kill(s.pid())
	s.end()
	return err
}

// Abort shuts the server down at once: its connections break, and it has to recover.
func (s *Server) Abort() { s.end() }

// end ends what runs, and waits for it.
func (s *Server) end() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.stdin.Close()
	_ = s.cmd.Wait() // however it ended
	s.cmd = nil
}

// Stop ends the server and removes what it had.
func (s *Server) Stop() {
	s.end()
	_ = os.RemoveAll(s.dir)
}

// Socket is the folder of the server's socket.
func (s *Server) Socket() string { return s.dir }

// URL leads to a database as a user; a role without a password needs none.
func (s *Server) URL(database, user string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {s.dir}, "user": {user}}.Encode()
}
