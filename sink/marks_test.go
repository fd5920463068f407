package sink_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/sink"
)

const (
	first  = "stocks-20261125T143000.000Z-000001"
	second = "stocks-20261125T153000.000Z-000002"
)

func id(t *testing.T, text string) *sink.ID {
	t.Helper()
	i, err := sink.ParseID(text)
	require.NoError(t, err)
	require.Equal(t, text, i.String())
	return &i
}

// TestMarks: what is at or below a mark is covered, in its segment alone.
func TestMarks(t *testing.T) {
	for _, c := range []struct {
		name       string
		add        string // ids, in their order
		cover, not string
	}{
		{"nothing", "", "", first + ":0:0"},
		{"an element", first + ":5:2", first + ":5:2 " + first + ":5:0 " + first + ":4:9 " + first + ":5:0!broken@7",
			first + ":5:3 " + first + ":6:0 " + second + ":0:0"},
		{"the highest stays", first + ":5:2 " + first + ":4:0", first + ":5:2", first + ":5:3"},
		{"two recorders alternate", first + ":5:0 " + second + ":1:0 " + first + ":6:0", first + ":6:0 " + second + ":1:0", first + ":7:0 " + second + ":2:0"},
		{"a damage is before what has its number", first + ":5:0!broken@7", first + ":4:0 " + first + ":5:0!broken@7",
			first + ":5:0 " + first + ":5:0!torn@9"},
		{"a damage behind an element of the same message", first + ":5:1 " + first + ":5:0!broken@7", first + ":5:1", first + ":5:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m sink.Marks
			for _, text := range strings.Fields(c.add) {
				m.Add(id(t, text))
			}
			text, err := json.Marshal(m)
			require.NoError(t, err)
			var back sink.Marks
			require.NoError(t, json.Unmarshal(text, &back))
			require.Equal(t, m.All(), back.All())
			clone := m.Clone()
			for _, marks := range []*sink.Marks{&m, &back, &clone} {
				for _, text := range strings.Fields(c.cover) {
					require.True(t, marks.Cover(id(t, text)), text)
				}
				for _, text := range strings.Fields(c.not) {
					require.False(t, marks.Cover(id(t, text)), text)
				}
			}
		})
	}
}

// TestMarksBounded: the segments that had nothing for longest are forgotten.
func TestMarksBounded(t *testing.T) {
	var m sink.Marks
	ids := make([]*sink.ID, sink.MaxMarks+1)
	for i := range ids {
		ids[i] = id(t, first+":1:0")
		ids[i].Segment = strings.Replace(first, "000001", string(rune('a'+i/26/26))+string(rune('a'+i/26%26))+string(rune('a'+i%26)), 1)
		m.Add(ids[i])
		m.Add(ids[0])
		ids[0].Sequence++
	}
	require.Len(t, m.All(), sink.MaxMarks)
	require.False(t, m.Cover(ids[1]))
	require.True(t, m.Cover(ids[2]))
}

// TestID: a text that is none is an ErrID.
func TestID(t *testing.T) {
	for _, text := range []string{"", ":", "::", first, first + ":1", first + ":x:0", first + ":1:x", first + ":01:0", "x:1:0", first + ":1:0!", first + ":1:0 "} {
		_, err := sink.ParseID(text)
		require.ErrorIs(t, err, sink.ErrID, text)
		_, err = sink.ParseStamp(text+" x", nil)
		require.ErrorIs(t, err, sink.ErrID, text)
	}
	row := sink.Row{ID: *id(t, first+":1:2"), Received: -7}
	s, err := sink.ParseStamp(string(row.AppendStamp(nil)), nil)
	require.NoError(t, err)
	require.Equal(t, sink.Stamp{ID: row.ID, Received: -7}, s)
	var m sink.Marks
	require.Error(t, json.Unmarshal([]byte(`["x"]`), &m))
	require.Error(t, json.Unmarshal([]byte(`{}`), &m))
}

// TestWatermarks: what is saved is there after a restart, by who saved last alone.
func TestWatermarks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "watermarks")
	f, err := sink.OpenWatermarks(path)
	require.NoError(t, err)
	_, err = sink.OpenWatermarks(path)
	require.ErrorIs(t, err, sink.ErrInUse)

	w, err := f.Load(t.Context(), "3of8")
	require.NoError(t, err)
	require.Zero(t, w)
	w.Offset, w.Log, w.Owner = 17, "made at noon", "a"
	w.Marks.Add(id(t, first+":5:2"))
	require.NoError(t, f.Save(t.Context(), "3of8", &w))
	require.NoError(t, f.Save(t.Context(), "3of8", &w), "again")
	stale := sink.Watermark{Offset: 1}
	require.ErrorIs(t, f.Save(t.Context(), "3of8", &stale), sink.ErrFenced)
	w.Marks.Add(id(t, first+":9:0")) // which was not saved
	require.NoError(t, f.Close())

	f, err = sink.OpenWatermarks(path)
	require.NoError(t, err)
	back, err := f.Load(t.Context(), "3of8")
	require.NoError(t, err)
	require.EqualValues(t, 17, back.Offset)
	require.Equal(t, "made at noon", back.Log)
	require.Equal(t, "a", back.Owner)
	require.True(t, back.Marks.Cover(id(t, first+":5:2")))
	require.False(t, back.Marks.Cover(id(t, first+":5:3")))
	require.NoError(t, f.Save(t.Context(), "3of8", &back))
	require.NoError(t, os.RemoveAll(filepath.Dir(path)))
	require.Error(t, f.Save(t.Context(), "3of8", &back), "a disk that refuses")
	require.NoError(t, f.Close())

	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o644))
	_, err = sink.OpenWatermarks(path)
	require.Error(t, err)
	for _, text := range []string{"null", `{"3of8":null}`} {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		f, err = sink.OpenWatermarks(path)
		require.NoError(t, err)
		require.NoError(t, f.Save(t.Context(), "3of8", &sink.Watermark{}))
		require.NoError(t, f.Close())
	}
}
