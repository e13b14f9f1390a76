package image

import (
	"bytes"
	"errors"
)

// sniff tells a format by its first bytes.
func sniff(data []byte) (Format, error) {
	switch {
	case len(data) == 0:
		return "", errors.New("the file is empty")
	case bytes.HasPrefix(data, []byte("\xff\xd8\xff")):
		return JPEG, nil
	case bytes.HasPrefix(data, []byte("\x89PNG\r\n\x1a\n")):
		return PNG, nil
	case bytes.HasPrefix(data, []byte("GIF87a")), bytes.HasPrefix(data, []byte("GIF89a")):
		return GIF, nil
	case len(data) >= 12 && string(data[:4]) == "RIFF" && string(data[8:12]) == "WEBP":
		return WebP, nil
	case bytes.HasPrefix(data, []byte("BM")):
		return BMP, nil
	}
	return "", &UnknownFormatError{Looks: looksLike(data)}
}

// looksLike names the usual things that carry an image's file name by mistake.
func looksLike(data []byte) string {
	head := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(data[:min(len(data), 512)], []byte("\xef\xbb\xbf")), " \t\r\n"))
	switch {
	case bytes.HasPrefix(head, []byte("<svg")), bytes.HasPrefix(head, []byte("<?xml")) && bytes.Contains(head, []byte("<svg")):
		return "SVG"
	case bytes.HasPrefix(head, []byte("<!doctype html")), bytes.HasPrefix(head, []byte("<html")):
		return "HTML"
	case bytes.HasPrefix(head, []byte("version https://git-lfs")):
		return "a Git LFS pointer (run: git lfs pull)"
	case bytes.HasPrefix(head, []byte("ii*\x00")), bytes.HasPrefix(head, []byte("mm\x00*")):
		return "TIFF"
	case len(head) >= 12 && string(head[4:8]) == "ftyp":
		return "HEIF, AVIF or video"
	case bytes.HasPrefix(head, []byte("%pdf")):
		return "PDF"
	}
	return ""
}
