package record_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tickstorm/tickstorm/record"
)

// TestSurvey: a survey says of a segment what Verify does, as long as nothing in its frames is damaged.
func TestSurvey(t *testing.T) {
	const name = "stocks-20261125T143000.000Z-000007.tsr.zst"
	whole, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	dir := t.TempDir()
	both := func(b []byte) (survey, verify *record.Report) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, b, 0o600))
		surveys, err := record.Survey(t.Context(), dir)
		require.NoError(t, err)
		verified, err := record.Verify(t.Context(), dir)
		require.NoError(t, err)
		require.Len(t, surveys, 1)
		return surveys[0], verified[0]
	}
	survey, verify := both(whole)
	require.Equal(t, verify, survey)
	require.True(t, survey.OK() && survey.Finished)
	require.NotZero(t, survey.Messages)
	require.NotEmpty(t, survey.Header.Host)
	for n := 0; n < len(whole); n += 97 { // cut short
		survey, verify := both(whole[:n])
		require.Equal(t, verify.Finished, survey.Finished, n)
		require.Equal(t, verify.Messages, survey.Messages, n)
		require.Equal(t, verify.Header, survey.Header, n)
		require.Equal(t, verify.Damage, survey.Damage, n)
	}
	for n := 0; n < len(whole); n += 13 { // one byte is another
		b := bytes.Clone(whole)
		b[n] ^= 0x55
		both(b)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = record.Survey(ctx, dir)
	require.ErrorIs(t, err, context.Canceled)
	_, err = record.Survey(t.Context(), filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestLink: a link to a folder of segments is that folder.
func TestLink(t *testing.T) {
	const name = "stocks-20261125T143000.000Z-000007.tsr.zst"
	whole, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	dir, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), whole, 0o600))
	require.NoError(t, os.Symlink(dir, link))
	reports, err := record.Survey(t.Context(), link)
	require.NoError(t, err)
	require.Len(t, reports, 1)
	require.Equal(t, filepath.Join(link, name), reports[0].Path)
	r, err := record.Open(link)
	require.NoError(t, err)
	defer r.Close()
	_, err = r.Next(t.Context())
	require.NoError(t, err)
}
