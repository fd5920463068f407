package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/tickstorm/tickstorm/internal/redact"
)

// configuration is the file of contexts.
type configuration struct {
	// Context is the one that is used where none is named.
	Context  string
	Contexts map[string]settings
}

// settings are those of a context: what flags say otherwise goes before them.
type settings struct {
	Market string
	Feed   string
	// KeyFile is the file of the key, relative to that of the configuration.
	KeyFile string
	// Relay is the address of a relay, which goes before Feed.
	Relay string
}

// settings finds those of the context that is asked for; none if there is no file and none is.
func (a *app) settings() (settings, error) {
	path, named := a.configPath()
	if path == "" {
		if a.Context != "" {
			return settings{}, usagef("there is no context %q: there is no folder for configurations", a.Context)
		}
		return settings{}, nil
	}
	c, err := readConfiguration(path)
	switch {
	case (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) && !named && a.Context == "":
		return settings{}, nil
	case err != nil:
		return settings{}, usagef("configuration: %v", err)
	}
	name := a.Context
	if name == "" {
		name = c.Context
	}
	if name == "" {
		return settings{}, nil
	}
	s, ok := c.Contexts[name]
	if !ok {
		return settings{}, usagef("there is no context %q in %s: there are %s", name, path, strings.Join(slices.Sorted(maps.Keys(c.Contexts)), ", "))
	}
	if s.KeyFile != "" {
		if rest, ok := strings.CutPrefix(s.KeyFile, "~/"); ok {
			s.KeyFile = filepath.Join(a.home, rest)
		} else if !filepath.IsAbs(s.KeyFile) {
			s.KeyFile = filepath.Join(filepath.Dir(path), s.KeyFile)
		}
	}
	return s, nil
}

// configPath is where the configuration is, and whether the user has said so.
func (a *app) configPath() (path string, named bool) {
	if a.ConfigFile != "" {
		return a.ConfigFile, true
	}
	if path := a.env("TICKSTORM_CONFIG"); path != "" {
		return path, true
	}
	if a.configDir == "" {
		return "", false
	}
	return filepath.Join(a.configDir, "tickstorm", "config.json"), false
}

// maxConfiguration is longer than any, and shorter than what is none.
const maxConfiguration = 1 << 20

// readConfiguration reads the file, in which nothing may stand that has no meaning. What is wrong is said
// with its line, and without what stands there.
func readConfiguration(path string) (configuration, error) {
	var c configuration
	f, err := os.Open(path)
	if err != nil {
		return c, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfiguration+1))
	if err == nil && len(text) > maxConfiguration {
		err = fmt.Errorf("%s: it is longer than %d bytes", path, maxConfiguration)
	}
	if err != nil {
		return c, err
	}
	text = bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF"))
	if at, err := c.parse(text); err != nil {
		return c, fmt.Errorf("%s:%d: %w", path, 1+bytes.Count(text[:min(at, len(text))], []byte("\n")), err)
	}
	return c, nil
}

// parse reads a text; at is where the error is.
func (c *configuration) parse(text []byte) (at int, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	err = c.members(d)
	if err == nil {
		if _, end := d.Token(); end == nil {
			err = errors.New("something follows the object")
		} else if end != io.EOF {
			err = end
		}
	}
	at = int(d.InputOffset()) // behind the token that was read last
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return len(text) - len(bytes.TrimLeft(text[at:], " \t\r\n,:")), err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return len(text), errors.New("it ends in the middle")
	}
	return at, err
}

// members reads the outermost object.
func (c *configuration) members(d *json.Decoder) error {
	c.Contexts = map[string]settings{}
	return object(d, func(name string) error {
		switch name {
		case "context":
			return text(d, &c.Context)
		case "contexts":
			return object(d, func(name string) error {
				var s settings
				fields := map[string]*string{"market": &s.Market, "feed": &s.Feed, "key_file": &s.KeyFile, "relay": &s.Relay}
				err := object(d, func(name string) error {
					if fields[name] == nil {
						return strange(name, slices.Sorted(maps.Keys(fields)))
					}
					return text(d, fields[name])
				})
				c.Contexts[name] = s
				return err
			})
		}
		return strange(name, []string{"context", "contexts"})
	})
}

// strange is what is wrong with a name that means nothing.
func strange(name string, known []string) error {
	if redact.Named(name) {
		return errors.New("a key does not stand there: key_file names a file that has it")
	}
	return fmt.Errorf("no member %q is known: there are %s", name, strings.Join(known, ", "))
}

// object reads one, each name once; member reads the value behind a name.
func object(d *json.Decoder, member func(name string) error) error {
	if t, err := d.Token(); err != nil {
		return err
	} else if t != json.Delim('{') {
		return errors.New("an object is expected")
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string) // a decoder takes nothing else for a name
		if seen[name] {
			return fmt.Errorf("%q stands there twice", name)
		}
		seen[name] = true
		if err := member(name); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// text reads a string.
func text(d *json.Decoder, to *string) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	s, ok := t.(string)
	if !ok {
		return errors.New("a text is expected")
	}
	*to = s
	return nil
}
