package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

type versionCmd struct {
	Format string `short:"f" enum:"text,json" default:"text" help:"text or json."`
}

// Help implements [kong.HelpProvider].
func (*versionCmd) Help() string {
	return examples(
		"the version", "tickstorm version",
		"for programs", "tickstorm version -f json",
	)
}

// versions are what this binary was made of.
type versions struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Changed  bool   `json:"changed,omitempty"` // the work tree was not that of the revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// built says what the build has noted.
func built() versions {
	v := versions{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Changed = s.Value == "true"
		}
	}
	return v
}

// Run runs the verb.
func (c *versionCmd) Run(a *app) error {
	v := built()
	if c.Format == "json" {
		return outputError(json.NewEncoder(a.stdout).Encode(v))
	}
	text := "tickstorm " + v.Version
	if v.Revision != "" && !strings.Contains(v.Version, v.Revision[:min(12, len(v.Revision))]) {
		text += " of " + v.Revision
	}
	_, err := fmt.Fprintf(a.stdout, "%s, %s, %s\n", text, v.Go, v.Platform)
	return outputError(err)
}
