package parquet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/sink"
)

// The files of a Sink's own, below Config.To. Readers of partitions pass over what begins with "_".
const (
	stateFolder    = "_tickstorm"
	lockName       = "lock"
	manifestFolder = "segments"
	manifestSuffix = ".json"
)

// manifest says that a segment is done, and what became of it. It is the last that is written of it.
type manifest struct {
	Version int              `json:"version"`
	Segment string           `json:"segment"`
	Market  tickstorm.Market `json:"market"`
	// Bytes is how long the segment's file was, and Finished whether it had its end.
	Bytes    int64 `json:"bytes"`
	Finished bool  `json:"finished"`
	// GapBefore is the number of the last gap of the market before the segment, GapLast that of the
	// last that was given to one of the segment's own.
	GapBefore uint64 `json:"gap_before"`
	GapLast   uint64 `json:"gap_last"`
	// ReceivedBefore is when the last message of the market before the segment was received,
	// ReceivedLast the last of all until its end.
	ReceivedBefore int64          `json:"received_before"`
	ReceivedLast   int64          `json:"received_last"`
	Parts          []manifestPart `json:"parts"`
}

type manifestPart struct {
	Path  string `json:"path"` // below Config.To, with slashes
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

const manifestVersion = 1

// ErrManifest: a manifest cannot be understood.
var ErrManifest = errors.New("parquet: not a manifest")

func (s *Sink) manifestPath(segment string) string {
	return filepath.Join(s.cfg.To, stateFolder, manifestFolder, segment+manifestSuffix)
}

// load reads the manifests that there are.
func (s *Sink) load() error {
	dir := filepath.Join(s.cfg.To, stateFolder, manifestFolder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return &WriteError{"make folder", dir, err}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return &WriteError{"list", dir, err}
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), manifestSuffix)
		if !ok {
			continue // what a crash has left, which is written anew
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return &WriteError{"read", filepath.Join(dir, e.Name()), err}
		}
		m := &manifest{}
		if err := json.Unmarshal(text, m); err != nil || m.Version != manifestVersion || m.Segment != name {
			return fmt.Errorf("%w: %s", ErrManifest, filepath.Join(dir, e.Name()))
		}
		s.note(m)
	}
	return nil
}

func (s *Sink) note(m *manifest) {
	s.done[m.Segment] = m
	s.gaps[m.Market] = max(s.gaps[m.Market], m.GapLast)
	s.last[m.Market] = max(s.last[m.Market], m.ReceivedLast)
}

// save writes a manifest, which makes the segment done.
func (s *Sink) save(m *manifest) error {
	text, err := json.MarshalIndent(m, "", "\t")
	if err == nil {
		err = sink.WriteFile(s.manifestPath(m.Segment), append(text, '\n'))
	}
	if err != nil {
		return &WriteError{"write", s.manifestPath(m.Segment), err}
	}
	s.note(m)
	return nil
}

// sweep removes what a crash has left: parts that did not become whole.
func (s *Sink) sweep() error {
	left, err := fs.Glob(os.DirFS(s.cfg.To), "market=*/ev=*/dt=*/part-*"+suffix+tempSuffix)
	if err != nil {
		return err
	}
	for _, name := range left {
		path := filepath.Join(s.cfg.To, filepath.FromSlash(name))
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &WriteError{"remove", path, err}
		}
		s.cfg.Logger.Info("removed what a crash has left", "file", path)
	}
	return nil
}

// stale returns the parts that have the name of a segment's and are not among those that were just
// written: of another run, which had other settings, or less of the segment.
func (s *Sink) stale(m *manifest) ([]string, error) {
	names, err := fs.Glob(os.DirFS(s.cfg.To), "market="+escape(string(m.Market))+"/ev=*/dt=*/"+partPrefix(m.Segment)+"-*"+suffix)
	if err != nil {
		return nil, err
	}
	written := map[string]bool{}
	for _, p := range m.Parts {
		written[p.Path] = true
	}
	var stale []string
	for _, name := range names {
		if !written[name] {
			stale = append(stale, name)
		}
	}
	return stale, nil
}
