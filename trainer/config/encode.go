package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// Encode writes the canonical text of a run: JSON, fields in the order of the types,
// indented, one trailing newline.
func Encode(r Run) ([]byte, error) {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the configuration: %w", err)
	}
	return append(b, '\n'), nil
}

// Hash identifies what the run trains: 64 hexadecimal digits. Keep, Origin and where a
// scaling comes from are not part of it: recording more, or starting from a checkpoint of
// the same trajectory, trains the same weights.
func (r Run) Hash() string {
	r.Keep, r.Origin = Keep{}, nil
	if r.Scaling != nil {
		r.Scaling = &Scaling{Modules: r.Scaling.Modules}
	}
	b, err := json.Marshal(r)
	if err != nil {
		// A number that is not finite; Validate refuses it, the name need only be stable.
		b = fmt.Appendf(nil, "%#v", r)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// NewerError is a configuration written by a newer version of the program.
type NewerError struct{ Version int }

func (e *NewerError) Error() string {
	return fmt.Sprintf("the run is of format version %d, and this program knows versions up to %d: update etastar to use it", e.Version, Version)
}

// maxText bounds a configuration's text.
const maxText = 1 << 20

// Decode reads what Encode wrote. Fields this program does not know are left out and
// listed in unknown ("data.shards"); a newer version is a *NewerError. It does not
// Validate.
func Decode(data []byte) (r Run, unknown []string, err error) {
	if len(data) > maxText {
		return Run{}, nil, fmt.Errorf("read the configuration: %d bytes is too long for one", len(data))
	}
	var head struct {
		Version *int `json:"version"`
	}
	if err := one(data, &head); err != nil {
		return Run{}, nil, fmt.Errorf("read the configuration: %w", err)
	}
	switch {
	case head.Version == nil || *head.Version < 1:
		return Run{}, nil, errors.New("read the configuration: it says no version, so it is none of a run")
	case *head.Version > Version:
		return Run{}, nil, &NewerError{Version: *head.Version}
	}
	if err := one(data, &r); err != nil {
		return Run{}, nil, fmt.Errorf("read the configuration: %w", err)
	}
	unknown = extra(nil, "", data, reflect.TypeFor[Run]())
	slices.Sort(unknown)
	return r, unknown, nil
}

// one reads exactly one JSON value.
func one(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(v); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("it is empty")
		}
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows after its end")
	}
	return nil
}

// extra appends the fields of data that type t does not have.
func extra(out []string, prefix string, data []byte, t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return out
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil {
		return out
	}
	for name, value := range fields {
		known := false
		for i := range t.NumField() {
			f := t.Field(i)
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if strings.EqualFold(tag, name) {
				known = true
				out = extra(out, prefix+name+".", value, f.Type)
				break
			}
		}
		if !known {
			out = append(out, prefix+name)
		}
	}
	return out
}
