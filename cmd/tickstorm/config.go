package main

import (
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
)

// configuration is the file of contexts.
type configuration struct {
	// Context is the one that is used where none is named.
	Context  string              `json:"context"`
	Contexts map[string]settings `json:"contexts"`
}

// settings are those of a context: what flags say otherwise goes before them.
type settings struct {
	Market string `json:"market"`
	Feed   string `json:"feed"`
	// KeyFile is the file of the key, relative to that of the configuration.
	KeyFile string `json:"key_file"`
	// Relay is the address of a relay, which goes before Feed.
	Relay string `json:"relay"`
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

// readConfiguration reads the file, in which nothing may stand that has no meaning.
func readConfiguration(path string) (configuration, error) {
	var c configuration
	f, err := os.Open(path)
	if err != nil {
		return c, err
	}
	defer f.Close()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		if strings.Contains(err.Error(), `unknown field "key"`) || strings.Contains(err.Error(), `unknown field "api_key"`) {
			err = errors.New("a key does not stand there: key_file names a file that has it")
		}
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return c, fmt.Errorf("%s: something follows the object", path)
	}
	return c, nil
}
