package export

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Elements and attributes of a picture that a page takes over. Whatever else an
// SVG may hold, scripts and outside references first, is left behind.
var (
	svgElements = words(`svg g path rect circle ellipse line polyline polygon text tspan title desc defs clipPath
		linearGradient radialGradient stop`)
	svgAttributes = words(`viewBox width height x y x1 y1 x2 y2 cx cy r rx ry dx dy d points transform style fill stroke
		fill-opacity stroke-opacity opacity fill-rule clip-rule stroke-width stroke-dasharray stroke-dashoffset stroke-linecap
		stroke-linejoin font-family font-size font-style font-weight text-anchor dominant-baseline clip-path id offset
		stop-color stop-opacity gradientUnits gradientTransform preserveAspectRatio`)
)

func words(s string) map[string]bool {
	set := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		set[w] = true
	}
	return set
}

// inlineSVG rewrites a picture so that it can stand in a page: well-formed, of
// known elements only, its identifiers made unique by prefix.
func inlineSVG(data []byte, prefix, label string) (string, error) {
	d := xml.NewDecoder(bytes.NewReader(data))
	var out strings.Builder
	depth, skip := 0, 0
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", fmt.Errorf("read the picture: %w", err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if skip > 0 || !svgElements[t.Name.Local] || depth == 0 && t.Name.Local != "svg" {
				skip++
				continue
			}
			out.WriteString("<" + t.Name.Local)
			if depth == 0 {
				out.WriteString(` xmlns="http://www.w3.org/2000/svg" role="img" aria-label="` + escape(label) + `"`)
			}
			depth++
			for _, a := range t.Attr {
				if v, ok := svgAttribute(a, prefix); ok {
					out.WriteString(" " + a.Name.Local + `="` + escape(v) + `"`)
				}
			}
			out.WriteString(">")
		case xml.EndElement:
			if skip > 0 {
				skip--
				continue
			}
			depth--
			out.WriteString("</" + t.Name.Local + ">")
		case xml.CharData:
			if skip == 0 && depth > 0 {
				out.WriteString(escape(string(t)))
			}
		}
	}
	if out.Len() == 0 {
		return "", errors.New("the picture is no SVG")
	}
	return out.String(), nil
}

// svgAttribute passes an attribute that a page may have, with references only to
// the picture itself.
func svgAttribute(a xml.Attr, prefix string) (string, bool) {
	v := a.Value
	switch {
	case a.Name.Space != "" || !svgAttributes[a.Name.Local]:
		return "", false
	case a.Name.Local == "id":
		return prefix + v, true
	case !strings.Contains(strings.ToLower(v), "url"):
		return v, true
	case strings.Count(strings.ToLower(v), "url") == strings.Count(v, "url(#"):
		return strings.ReplaceAll(v, "url(#", "url(#"+prefix), true
	}
	return "", false
}
