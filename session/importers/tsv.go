package importers

import "bytes"

// scanTSV reads tab-separated text. Unlike in CSV a quote within a field is a
// character like any other; a field that begins with one is quoted as in CSV,
// because spreadsheets write it so.
func scanTSV(j *job) error { return j.scanSeparated('\t', true) }

func sniffTSV(head []byte) int {
	first, _, _ := bytes.Cut(head, []byte{'\n'})
	if bytes.IndexByte(first, '\t') < 0 || separator(head, separators) != '\t' {
		return 0
	}
	score, _ := fit(head, '\t')
	return score
}
