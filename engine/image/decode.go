package image

import (
	"bytes"
	"errors"
	"fmt"
	stdimage "image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"
)

// maxFileBytes bounds what is read into memory; no decodable image needs more.
const maxFileBytes = 1 << 30

// ReadFile decodes the image file at path. Errors name the path.
func ReadFile(path string) (*RGB, error) {
	data, err := readBytes(path)
	if err != nil {
		return nil, err
	}
	m, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

func readBytes(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%s: %d bytes; image files up to %d are read", path, info.Size(), maxFileBytes)
	}
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data[:n], nil
}

// DecodeConfig reads only the header. A picture beyond MaxPixels is a *TooLargeError.
func DecodeConfig(data []byte) (Config, error) {
	_, c, err := decodeConfig(data)
	return c, err
}

// Decode decodes a picture to RGB: gray is repeated, CMYK converted, 16 bits
// cut to the upper 8, alpha dropped (the colour beneath it stays, as in
// Pillow's convert("RGB")), and a JPEG turned as its EXIF orientation says.
func Decode(data []byte) (m *RGB, err error) {
	data, c, err := decodeConfig(data)
	if err != nil {
		return nil, err
	}
	defer recovered(c.Format, &err)
	var src stdimage.Image
	switch c.Format {
	case JPEG:
		src, err = jpeg.Decode(bytes.NewReader(data))
	case PNG:
		src, err = png.Decode(bytes.NewReader(data))
	case GIF:
		src, err = gif.Decode(bytes.NewReader(data))
	case BMP:
		src, err = bmp.Decode(bytes.NewReader(data))
	case WebP:
		src, err = webp.Decode(bytes.NewReader(data))
	}
	if err != nil {
		return nil, &CorruptError{Format: c.Format, Err: err}
	}
	size := src.Bounds().Size()
	if err := checkSize(size.X, size.Y); err != nil {
		return nil, err
	}
	return orient(toRGB(src, c.Format), c.Orientation), nil
}

// decodeConfig also returns the bytes to decode: data, or for WebP the first
// frame on its own.
func decodeConfig(data []byte) (_ []byte, c Config, err error) {
	c.Format, err = sniff(data)
	if err != nil {
		return nil, c, err
	}
	defer recovered(c.Format, &err)
	var head stdimage.Config
	switch c.Format {
	case JPEG:
		head, err = jpeg.DecodeConfig(bytes.NewReader(data))
	case PNG:
		head, err = png.DecodeConfig(bytes.NewReader(data))
	case GIF:
		head, err = gif.DecodeConfig(bytes.NewReader(data))
	case BMP:
		head, err = bmp.DecodeConfig(bytes.NewReader(data))
	case WebP:
		if data, err = webpFirstFrame(data); err == nil {
			head, err = webp.DecodeConfig(bytes.NewReader(data))
		}
	}
	if err != nil {
		return nil, c, &CorruptError{Format: c.Format, Err: err}
	}
	if err := checkSize(head.Width, head.Height); err != nil {
		return nil, c, err
	}
	c.Width, c.Height, c.Orientation = head.Width, head.Height, 1
	if c.Format == JPEG {
		c.Orientation = exifOrientation(data)
		if c.Orientation >= 5 {
			c.Width, c.Height = c.Height, c.Width
		}
	}
	return data, c, nil
}

// recovered turns a decoder's panic into an error: their input is hostile, and
// one bad file must not end a training.
func recovered(f Format, err *error) {
	if r := recover(); r != nil {
		*err = &CorruptError{Format: f, Err: fmt.Errorf("the decoder failed: %v", r)}
	}
}

func checkSize(width, height int) error {
	if width <= 0 || height <= 0 {
		return fmt.Errorf("the picture is empty (%dx%d)", width, height)
	}
	if width > MaxPixels/height {
		return &TooLargeError{Width: width, Height: height}
	}
	return nil
}
