# The playlist program, built from the project's root:
#
#   docker build -t plimsoll-playlist .
#   docker run --memory 256m -p 8080:8080 -v ./my.toml:/config/playlist.toml:ro -v playlist:/data plimsoll-playlist
#
# Arguments behind the image's name are the program's: `... plimsoll-playlist generate --config /config/playlist.toml`.
# Debian and not Alpine: allocator settings and trims are glibc's, and figures were measured with it.
ARG NODE_IMAGE=node:24-trixie-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY apps/playlist/package.json apps/playlist/
RUN npm ci --ignore-scripts
COPY tsconfig.base.json tsconfig.build.json ./
COPY src src
COPY plugins plugins
COPY dashboard-page dashboard-page
COPY apps/playlist apps/playlist
RUN npm run build

FROM ${NODE_IMAGE} AS modules
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY apps/playlist/package.json apps/playlist/
RUN npm ci --ignore-scripts --omit=dev --workspace apps/playlist

FROM ${NODE_IMAGE}
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=modules /app/node_modules node_modules
COPY --from=modules /app/apps/playlist/node_modules apps/playlist/node_modules
# The optional peer that gives freed memory back to the system.
COPY --from=build /app/node_modules/koffi node_modules/koffi
COPY --from=build /app/node_modules/@koromix node_modules/@koromix
COPY --from=build /app/dist dist
COPY --from=build /app/plugins/dist plugins/dist
COPY --from=build /app/apps/playlist/dist apps/playlist/dist
COPY apps/playlist/package.json apps/playlist/
COPY deploy/healthcheck.sh deploy/healthcheck.sh
# A new volume has the owner of what it covers.
RUN install -d -o node -g node /data

# Over what the file says: in a container these are the volume and the outside. The cache and the spill folder are in the output folder unless they are named.
ENV NODE_ENV=production \
    PLIMSOLL_PLAYLIST_OUTPUT_DIR=/data \
    PLIMSOLL_PLAYLIST_SERVE_HOST=0.0.0.0
VOLUME /data
EXPOSE 8080
USER node
# No flags for Node: the program reads the container's limit when it starts, and starts Node anew, in place, with heap and allocator settings that fit.
ENTRYPOINT ["node", "/app/apps/playlist/dist/main.js"]
CMD ["serve", "--config", "/config/playlist.toml"]
# By bash, because a second Node would be 40 MB more in the container. A first run may take its time: until it ends there is nothing to serve.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10m --retries=3 CMD ["bash", "/app/deploy/healthcheck.sh"]
