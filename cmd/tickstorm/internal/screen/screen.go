// Package screen runs programs in a terminal that is none, and looks at what they draw there: cell by
// cell, as text, or as a picture.
package screen

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/vt"
)

// A Screen is a terminal with one end for a program and the other here. Its methods may be called from
// any goroutine.
type Screen struct {
	master   *os.File
	terminal *os.File // the program's end
	pumps    sync.WaitGroup

	mu      sync.Mutex // protects what follows
	vt      *vt.Emulator
	changed chan struct{}
	written int
	turns   int
	over    bool
}

// Open opens a terminal of a size. Close it.
func Open(width, height int) (*Screen, error) {
	master, terminal, err := open()
	if err != nil {
		return nil, err
	}
	s := &Screen{master: master, terminal: terminal, vt: vt.NewEmulator(width, height), changed: make(chan struct{})}
	s.vt.SetCallbacks(vt.Callbacks{AltScreen: func(bool) { s.turns++ }}) // by show
	if err := s.Resize(width, height); err != nil {
		return nil, errors.Join(err, master.Close(), terminal.Close())
	}
	s.pumps.Go(s.show)
	s.pumps.Go(func() { _, _ = io.Copy(master, s.vt) }) // what the terminal answers, until it is closed
	return s, nil
}

// Terminal is the program's end.
func (s *Screen) Terminal() *os.File { return s.terminal }

// Start starts a command whose terminal this is, and nobody else's from then on.
func (s *Screen) Start(cmd *exec.Cmd) error {
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.terminal, s.terminal, s.terminal
	cmd.SysProcAttr = session()
	err := cmd.Start()
	return errors.Join(err, s.terminal.Close())
}

// show draws what the program writes.
func (s *Screen) show() {
	buf := make([]byte, 64<<10)
	for {
		n, err := s.master.Read(buf)
		s.mu.Lock()
		_, _ = s.vt.Write(buf[:n]) // an emulator takes anything
		s.written += n
		s.over = err != nil
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Close takes the terminal away.
func (s *Screen) Close() error {
	err := s.master.Close()
	_ = s.terminal.Close() // a second time where a command was started
	if answers, ok := s.vt.InputPipe().(io.Closer); ok {
		_ = answers.Close() // Close of the emulator races with its Read
	}
	s.pumps.Wait()
	return err
}

// Send has keys be pressed.
func (s *Screen) Send(keys string) error {
	_, err := io.WriteString(s.master, keys)
	return err
}

// Resize makes the terminal another size, and tells the program.
func (s *Screen) Resize(width, height int) error {
	s.mu.Lock()
	s.vt.Resize(width, height)
	s.mu.Unlock()
	return resize(s.master, width, height)
}

// Lines are what is drawn, without the space at their ends.
func (s *Screen) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := make([]string, s.vt.Height())
	for y := range lines {
		var b strings.Builder
		for x := 0; x < s.vt.Width(); x++ {
			c := s.vt.CellAt(x, y)
			if c == nil || c.Content == "" {
				b.WriteByte(' ')
				continue
			}
			b.WriteString(c.Content)
			x += max(0, c.Width-1)
		}
		lines[y] = strings.TrimRight(b.String(), " ")
	}
	return lines
}

// Text is that as one text.
func (s *Screen) Text() string { return strings.Join(s.Lines(), "\n") + "\n" }

// Cell returns a copy of a cell.
func (s *Screen) Cell(x, y int) uv.Cell {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.vt.CellAt(x, y); c != nil {
		return *c
	}
	return uv.Cell{}
}

// Size is that of the terminal.
func (s *Screen) Size() (width, height int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vt.Width(), s.vt.Height()
}

// Alternate reports whether the program draws on a screen of its own.
func (s *Screen) Alternate() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vt.IsAltScreen()
}

// Turns is how often the program has turned to a screen of its own and back, each counted: that of a moment is
// seen by nobody who looks now and then.
func (s *Screen) Turns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.turns
}

// Written is how many bytes the program has written.
func (s *Screen) Written() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written
}

// Await waits until what is drawn is as wanted; false if it is not in time.
func (s *Screen) Await(patience time.Duration, wanted func(text string) bool) bool {
	late := time.After(patience)
	for {
		s.mu.Lock()
		changed, over := s.changed, s.over
		s.mu.Unlock()
		if wanted(s.Text()) {
			return true
		}
		if over {
			return false
		}
		select {
		case <-changed:
		case <-late:
			return false
		}
	}
}
