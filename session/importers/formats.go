package importers

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/nearest"
)

// format is one kind of file.
type format struct {
	name       string
	extensions []string
	// sniff says how much the head of a file looks like this format, from 0 (not
	// at all) to 100 (nothing else).
	sniff func(head []byte) int
	// scan feeds the file's rows into the job's columns.
	scan func(*job) error
}

// convincing is the score below which a format is believed only of a file that
// is called so.
const convincing = 25

// formats are all formats, the more particular first.
var formats = []format{
	{"jsonl", []string{".jsonl", ".ndjson", ".json"}, sniffJSON, scanJSON},
	{"markdown", []string{".md", ".markdown"}, sniffMarkdown, scanMarkdown},
	{"tsv", []string{".tsv", ".tab"}, sniffTSV, scanTSV},
	{"csv", []string{".csv"}, sniffCSV, scanCSV},
}

// Formats returns the names that Options.Format takes.
func Formats() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = f.name
	}
	return names
}

// choose finds the format of a file by its first bytes; its name breaks ties.
func choose(head []byte, path, asked string) (format, error) {
	if asked != "" {
		for _, f := range formats {
			if f.name == strings.ToLower(asked) || slices.Contains(f.extensions, "."+strings.ToLower(asked)) {
				return f, nil
			}
		}
		hint := ""
		if near := nearest.Word(asked, Formats()); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return format{}, fmt.Errorf("there is no format %q%s (formats: %s)", asked, hint, strings.Join(Formats(), ", "))
	}
	ext := strings.ToLower(filepath.Ext(path))
	best, bestScore := format{}, 0
	for _, f := range formats {
		score := f.sniff(head)
		named := slices.Contains(f.extensions, ext)
		switch {
		case score < convincing && !named:
			continue
		case named && f.name == "markdown":
			// Its table may come after much prose.
			score = max(score, convincing)
		case named:
			score = max(score, 1)
		}
		if score *= 2; named {
			score++
		}
		if score > bestScore {
			best, bestScore = f, score
		}
	}
	if bestScore == 0 {
		return format{}, fmt.Errorf("no table is found in it; formats: %s; say format=csv to insist", strings.Join(Formats(), ", "))
	}
	return best, nil
}
