// Opens the image that the page names. Tests and curious people find the viewer at window.viewer.
(function () {
  "use strict";
  const element = document.getElementById("viewer");
  const message = document.getElementById("message");
  window.viewer = OpenSeadragon({
    element: element,
    prefixUrl: "static/openseadragon/images/",
    tileSources: [element.dataset.info],
    crossOriginPolicy: "Anonymous",
    showNavigator: true,
    maxZoomPixelRatio: 2,
    gestureSettingsMouse: { clickToZoom: true },
  });
  const show = function (text) {
    message.textContent = text;
    message.hidden = false;
  };
  window.viewer.addHandler("open-failed", function (event) {
    show("This image cannot be opened: " + event.message);
  });
  window.viewer.addHandler("tile-load-failed", function () {
    show("A part of this image could not be loaded.");
  });
})();
