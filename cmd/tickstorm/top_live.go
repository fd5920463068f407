package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/tickstorm/tickstorm/cmd/tickstorm/internal/top"
)

// firstLook is how long nothing is drawn, unless it is streaming before.
const firstLook = 500 * time.Millisecond

// live draws in the terminal until somebody ends it.
func (c *topCmd) live(ctx context.Context, a *app, s shown, zone *time.Location) error {
	if stream, ok := s.(*topStream); ok {
		stream.patient = true
		if a.stderrTerminal { // where it would be written over what is drawn
			quiet := *a
			quiet.log = slog.New(slog.DiscardHandler)
			stream.app = &quiet
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	model := top.NewModel(top.ModelConfig{Feed: s, Zone: zone, Interval: c.Interval, Query: c.query(0), ASCII: a.ascii()})
	program := tea.NewProgram(model, tea.WithInput(a.stdin), tea.WithOutput(a.stdout), tea.WithFPS(top.FPS), tea.WithoutSignalHandler(), tea.WithEnvironment(os.Environ()))
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err = s.run(ctx)
	}()
	select { // what fails at once is said without a screen, to which the terminal would still have to answer
	case <-ended:
		return err
	case <-s.ready():
	case <-time.After(firstLook):
	}
	go func() {
		<-ended
		program.Quit()
	}()
	_, drawn := program.Run()
	cancel(nil)
	<-ended
	switch {
	case errors.Is(err, context.Canceled): // it was somebody here
		err = nil
	case err != nil:
		return err
	}
	if model.Interrupted() {
		return errInterrupted
	}
	return errors.Join(err, drawn)
}

// ascii reports whether the user's locale has no signs but those of ASCII.
func (a *app) ascii() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := a.env(name); locale != "" {
			locale = strings.ToUpper(strings.ReplaceAll(locale, "-", ""))
			return !strings.Contains(locale, "UTF8")
		}
	}
	return false
}
