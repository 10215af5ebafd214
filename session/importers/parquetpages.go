package importers

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	pqformat "github.com/parquet-go/parquet-go/format"
)

// maxPage bounds a page once it is unpacked; writers make them of a megabyte, or of
// a whole row group.
const maxPage = 256 << 20

// countedReader counts what was read of a page's head.
type countedReader struct {
	r *bufio.Reader
	n int64
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *countedReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// checkFooter checks the length of what describes the file, four bytes before the magic
// that ends it, before the library makes room for that.
func checkFooter(file io.ReaderAt, size int64) error {
	var tail [8]byte
	if size < int64(len(parquetMagic)+len(tail)) {
		return errors.New("the Parquet file is damaged, or still being written: it ends too early")
	}
	if _, err := file.ReadAt(tail[:], size-int64(len(tail))); err != nil {
		return fmt.Errorf("the Parquet file is damaged, or still being written: %w", err)
	}
	if n := binary.LittleEndian.Uint32(tail[:]); int64(n) > size-int64(len(parquetMagic)+len(tail)) {
		return fmt.Errorf("the Parquet file is damaged, or still being written: its description of %d bytes is longer than the file", n)
	}
	return nil
}

// checkPages goes through the heads of a column's pages before the library makes
// room for what they promise: a file of a few bytes can promise gigabytes.
func checkPages(file io.ReaderAt, size int64, m *pqformat.ColumnMetaData, rows int64) error {
	at := m.DataPageOffset
	if m.DictionaryPageOffset > 0 {
		at = min(at, m.DictionaryPageOffset)
	}
	end := at + m.TotalCompressedSize
	if at < 0 || m.TotalCompressedSize < 0 || end > size {
		return errors.New("the Parquet file is damaged: its pages are outside of it")
	}
	left := rows
	for at < end {
		in := &countedReader{r: bufio.NewReaderSize(io.NewSectionReader(file, at, end-at), 512)}
		var h pqformat.PageHeader
		if err := thrift.NewDecoder((&thrift.CompactProtocol{}).NewReader(in)).Decode(&h); err != nil {
			return fmt.Errorf("the Parquet file is damaged: byte %d: the head of a page: %w", at, err)
		}
		values := int64(0)
		switch {
		case h.DataPageHeader.Valid:
			values = int64(h.DataPageHeader.V.NumValues)
			left -= values
		case h.DataPageHeaderV2.Valid:
			values = int64(h.DataPageHeaderV2.V.NumValues)
			left -= values
		case h.DictionaryPageHeader.Valid:
			values = int64(h.DictionaryPageHeader.V.NumValues)
		}
		switch {
		case values < 0 || values > rows || left < 0:
			return fmt.Errorf("the Parquet file is damaged: byte %d: a page has %d values, the part of the table %d rows", at, values, rows)
		case h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxPage:
			return fmt.Errorf("byte %d: a page unpacks to %d bytes, more than %d", at, h.UncompressedPageSize, maxPage)
		case h.CompressedPageSize < 0 || int64(h.CompressedPageSize) > end-at-in.n:
			return fmt.Errorf("the Parquet file is damaged: byte %d: a page of %d bytes ends outside of its column", at, h.CompressedPageSize)
		}
		at += in.n + int64(h.CompressedPageSize)
	}
	return nil
}

// checkChunk checks the pages that a row group has of a column.
func (r *parquetReader) checkChunk(group *pqformat.RowGroup, c parquetColumn, rows int64) error {
	if c.index >= len(group.Columns) {
		return errors.New("the Parquet file is damaged: a part of the table lacks columns")
	}
	return checkPages(r.job.in.f.file, r.job.in.f.info.Size(), &group.Columns[c.index].MetaData, rows)
}
