package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
)

func TestReleased(t *testing.T) {
	for folder, want := range map[string]bool{
		".": true, "record": true, "cmd/tickstorm": true, "metrics/otel": true,
		".ci/tools": false, "bench/rivals": false, "interop": false, "internal/release": false, "record/examples/x": false,
	} {
		require.Equal(t, want, released(folder), folder)
	}
}

func TestCheckVersion(t *testing.T) {
	for _, good := range []string{"v0.1.0", "v1.2.3", "v0.1.0-rc.1"} {
		require.NoError(t, checkVersion(good))
	}
	for _, bad := range []string{"", "0.1.0", "v0.1", "v2.0.0", "v0.1.0+x", "latest"} {
		require.Error(t, checkVersion(bad), bad)
	}
}

// TestOrdered: a module comes behind what it requires, and what cannot be is said.
func TestOrdered(t *testing.T) {
	module := func(path string, requires ...string) *mod {
		m := &mod{path: ours + path, file: &modfile.File{Syntax: &modfile.FileSyntax{}}}
		for _, q := range requires {
			require.NoError(t, m.file.AddRequire(ours+q, "v0.0.0"))
		}
		return m
	}
	root, record, tool := module(""), module("/record", ""), module("/cmd/tickstorm", "", "/record")
	all, err := ordered([]*mod{tool, record, root})
	require.NoError(t, err)
	require.Equal(t, []*mod{root, record, tool}, all)
	_, err = ordered([]*mod{tool, root})
	require.ErrorContains(t, err, "which is not released")
	_, err = ordered([]*mod{module("/a", "/b"), module("/b", "/a")})
	require.ErrorContains(t, err, "circle")
}
