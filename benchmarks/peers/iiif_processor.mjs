// An HTTP server round the npm package iiif-processor: files as streams, WORKERS processes on one PORT.
// MODULES is the directory that holds node_modules, IMAGES that of the images.
// Its dimensionFunction remembers the sizes of each image's pages, as its README advises; without it, each request
// reads the source twice.
import cluster from 'node:cluster';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';

const { IMAGES, MODULES, PORT, WORKERS } = process.env;
const require = createRequire(path.join(MODULES, 'here.js'));
const { Processor } = require('iiif-processor');
const sharp = require('sharp');

const fileOf = (id) => path.join(IMAGES, path.basename(id));
const known = new Map();

async function sizesOfPages({ id }) {
  if (!known.has(id)) {
    const read = (page) => sharp(fileOf(id), { limitInputPixels: false, page }).metadata();
    const first = await read(0);
    const rest = Array.from({ length: (first.pages || 1) - 1 }, (_, number) => read(number + 1));
    const pages = [first, ...(await Promise.all(rest))];
    known.set(id, pages.map(({ width, height }) => ({ width, height })));
  }
  return known.get(id);
}

async function answer(request, response) {
  try {
    const url = `http://${request.headers.host}${decodeURIComponent(request.url)}`;
    const options = { pathPrefix: '/iiif/{{version}}/', dimensionFunction: sizesOfPages };
    const result = await new Processor(url, ({ id }) => fs.createReadStream(fileOf(id)), options).execute();
    if (result.type === 'content') {
      const length = Buffer.byteLength(result.body);
      response.writeHead(200, { 'Content-Type': result.contentType, 'Content-Length': length }).end(result.body);
    } else {
      response.writeHead(result.statusCode || 303, { Location: result.location || '/' }).end(result.message);
    }
  } catch (error) {
    response.writeHead(error.statusCode || 500, { 'Content-Type': 'text/plain' }).end(String(error.message));
  }
}

if (cluster.isPrimary) {
  for (let number = 0; number < Number(WORKERS); number += 1) cluster.fork();
} else {
  http.createServer(answer).listen(Number(PORT), '127.0.0.1');
}
